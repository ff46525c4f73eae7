"""Compile the message catalogues: ``python tools/messages.py [--check]``.

Reads `grader/messages/po/AREA.LANG.po`, refuses a code that exists in one language only or twice,
or whose placeholders differ between languages, and writes `grader/messages/grader.LANG.mo`. The
words of click, whose keys are its English sentences, become `click.mo` beside their `click.po`.
The page `docs/messages.md` is made of the same texts. With ``--check`` nothing is written, and a
stale file is an error.
"""

import datetime
import io
import string
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from message_page import render_page

PAGE = Path(__file__).parent.parent / "docs" / "messages.md"
MESSAGES = Path(__file__).parent.parent / "grader" / "messages"
LANGUAGES = ("en", "ru")
_EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def placeholders(text: str | tuple[str, ...]) -> set[str]:
    """Return the names in braces, over all plural forms."""
    forms = text if isinstance(text, tuple) else (text,)
    return {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name}


def read_language(language: str) -> Catalog:
    """Return all areas of one language in one catalogue."""
    merged = Catalog(locale=language, domain="grader", fuzzy=False)
    for path in sorted((MESSAGES / "po").glob(f"*.{language}.po")):
        with path.open("rb") as file:
            area = read_po(file, locale=language, abort_invalid=True)
        for entry in area:
            if not entry.id:
                continue
            code = entry.id[0] if isinstance(entry.id, tuple) else entry.id
            if code in merged:
                raise SystemExit(f"{path.name}: the code {code!r} stands twice")
            forms = entry.string if isinstance(entry.string, tuple) else (entry.string,)
            if not all(forms):
                raise SystemExit(f"{path.name}: {code!r} has no text")
            merged.add(entry.id, entry.string)
    return merged


def compiled(catalogue: Catalog) -> bytes:
    """Return the catalogue as the bytes of a .mo file, the same for the same entries."""
    catalogue.creation_date = catalogue.revision_date = _EPOCH
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def targets(catalogues: dict[str, Catalog]) -> dict[Path, bytes]:
    """Return what each compiled file must hold."""
    made = {MESSAGES / f"grader.{name}.mo": compiled(one) for name, one in catalogues.items()}
    for path in (MESSAGES / "click").rglob("click.po"):
        with path.open("rb") as file:
            words = read_po(file, locale=path.parent.parent.name, abort_invalid=True)
        made[path.with_suffix(".mo")] = compiled(words)
    return made


def by_code(catalogue: Catalog) -> dict[str, str | tuple[str, ...]]:
    """Return the texts by code."""
    return {
        (entry.id[0] if isinstance(entry.id, tuple) else entry.id): entry.string
        for entry in catalogue
        if entry.id
    }


def main() -> int:
    """Compile or check; return the exit code."""
    catalogues = {language: read_language(language) for language in LANGUAGES}
    texts = {language: by_code(catalogue) for language, catalogue in catalogues.items()}
    alone = sorted(set(texts["en"]) ^ set(texts["ru"]))
    if alone:  # nothing can be made of them
        print("\n".join(f"{code!r} exists in one language only" for code in alone))
        return 1
    problems = [
        f"{code!r}: placeholders differ between languages"
        for code in sorted(set(texts["en"]) & set(texts["ru"]))
        if placeholders(texts["en"][code]) != placeholders(texts["ru"][code])
    ]
    made = {**targets(catalogues), PAGE: render_page(texts).encode()}
    for target, data in made.items():
        if "--check" not in sys.argv:
            target.write_bytes(data)
        elif not target.exists() or target.read_bytes() != data:
            problems.append(f"{target.name} is stale: run `make messages`")
    print("\n".join(problems) or f"{len(texts['en'])} messages in {len(LANGUAGES)} languages")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
