"""Cleans text that a student may have written, before it is shown anywhere.

Escape sequences of terminals (ECMA-48: CSI, OSC, DCS and the two-character ones), control
characters and marks that change the direction of writing (Unicode TR 36, bidi overrides and
isolates) are removed; long text is cut in the middle, and says so.
"""

import re

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_PRECEDED = (*_FORMULA_STARTS, "'")

MOST_CHARACTERS = 8000


def clean(text: str, *, most: int = MOST_CHARACTERS) -> str:
    """Return `text` safe to print: no escapes, no controls but newline and tab, bounded.

    Args:
        text: any text.
        most: characters kept, at least 20.
    """
    if len(text) > 4 * most:  # what is cut anyway need not be searched
        text = text[: 2 * most] + text[-2 * most :]
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    text = _CONTROLS.sub("", text.replace("\r", "\n"))
    if len(text) <= most:
        return text
    half = (most - 3) // 2
    return f"{text[:half]}\n…\n{text[-half:]}"


def clean_line(text: str, *, most: int = 200) -> str:
    """Return `text` cleaned and on one line; spaces that keep a number together stay."""
    return re.sub(r"[^\S\u00a0]+", " ", clean(text, most=most)).strip()


def csv_cell(text: str, *, most: int = 2000) -> str:
    """Return `text` as a cell that no spreadsheet takes for a formula.

    A leading ``= + - @`` is preceded by an apostrophe, as OWASP's "CSV Injection" page advises, and
    so is an apostrophe, that `read_csv_cell` can tell which one was there.
    """
    text = clean(text, most=most)
    return f"'{text}" if text.lstrip().startswith(_PRECEDED) else text


def read_csv_cell(cell: str) -> str:
    """Return the text that `csv_cell` made a cell of."""
    rest = cell.removeprefix("'")
    return rest if rest.lstrip().startswith(_PRECEDED) else cell
