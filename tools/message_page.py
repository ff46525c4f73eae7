"""`docs/messages.md`: every message with its longer words, in each language, by area."""

from collections.abc import Mapping

Texts = Mapping[str, str | tuple[str, ...]]

_HEAD = """# Messages

What the grader says, by code; `grader explain CODE` prints the same in a terminal. Names in braces
are filled in. This page is made by `make messages` from the catalogues in `grader/messages/po`.
"""


def render_page(texts: Mapping[str, Texts]) -> str:
    """Return the page for the texts of each language, by code."""
    lines = [_HEAD]
    area = ""
    codes = sorted(code for code in texts["en"] if not code.endswith(".explain"))
    for code in codes:
        if code.partition(".")[0] != area:
            area = code.partition(".")[0]
            lines.append(f"## {area}\n")
        lines.append(f"### `{code}`\n")
        for language, words in texts.items():
            lines.append(f"- {language}: {_one_line(words[code])}")
            longer = words.get(f"{code}.explain")
            if longer:
                lines.append(f"  - {_one_line(longer)}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _one_line(text: str | tuple[str, ...]) -> str:
    """Return a text, or the last of its plural forms, as one line of Markdown."""
    shown = text if isinstance(text, str) else text[-1]
    pieces = " ".join(shown.replace(":system}", "}").split()).split("`")
    for number in range(0, len(pieces), 2):  # those between are code, and stand as they are
        for mark in "<*_":
            pieces[number] = pieces[number].replace(mark, f"\\{mark}")
    return "`".join(pieces)
