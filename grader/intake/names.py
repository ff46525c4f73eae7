"""Names that strangers chose, made fit for pages and paths."""

import os
import re
import unicodedata
import urllib.parse
from collections.abc import Iterable
from pathlib import PurePosixPath

from grader.intake.bounds import Bounds

_NAME_BYTES = 200  # of the 255 that file systems allow, with room for a suffix
_UNSAFE = set('/\\:*?"<>|')
_DEVICES = re.compile(r"(?i)\A(con|prn|aux|nul|com\d|lpt\d)(?=\.|\Z)")
_SOURCE_SUFFIX = re.compile(
    r"(?i)\.(?:ipynb(?:\.txt|\.json)?|py(?:\.txt)?|zip|tar|tgz|tar\.gz)(?: ?\(\d+\))?\Z"
)


def clean_text(text: str) -> str:
    """Return `text` without characters that hide, reorder or control what is shown."""
    kept = (
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) == "Cs" else char
        for char in text
        if unicodedata.category(char) not in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp")
    )
    return unicodedata.normalize("NFC", "".join(kept))


def clean_name(text: str, bounds: Bounds | None = None) -> str:
    """Return a name that is one harmless path component on any system, never empty.

    A cleaned name is the same when it is cleaned again.
    """
    bounds = bounds or Bounds()
    safe = "".join("_" if char in _UNSAFE else char for char in clean_text(text))
    # Windows takes a device's name for the device, whatever follows after a full stop.
    name = _DEVICES.sub(r"\1_", " ".join(safe.split()).strip(". "), count=1)
    name = name[: bounds.name_characters].encode()[:_NAME_BYTES].decode(errors="ignore").strip(". ")
    return name or "submission"


def path_text(path: str | os.PathLike[str]) -> str:
    """Return a path as text that any file takes: what is no text in it becomes ``%FF``.

    The path itself travels as `os.fsencode` gives it.
    """
    return re.sub(
        "[\ud800-\udfff]",
        lambda found: urllib.parse.quote(os.fsencode(found.group())),
        os.fspath(path),
    )


def shown_path(path: str) -> str:
    """Return a path for messages: cleaned and at most 200 characters."""
    text = clean_text(path)
    return text if len(text) <= 200 else f"{text[:99]}…{text[-100:]}"


def stem(filename: str) -> str:
    """Return a file's name without its folder and the suffixes that say what it is."""
    last = PurePosixPath(filename.replace("\\", "/")).name
    return _SOURCE_SUFFIX.sub("", last) or last


def format_of(filename: str) -> str:
    """Return ``ipynb``, ``py``, ``zip``, ``tar`` or an empty text, by the file's name."""
    found = _SOURCE_SUFFIX.search(filename)
    if found is None:
        return ""
    suffix = found.group().lower().lstrip(".")
    for start, name in (("ipynb", "ipynb"), ("py", "py"), ("zip", "zip")):
        if suffix.startswith(start):
            return name
    return "tar"


def natural_order(path: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key by which ``task10.py`` comes after ``task2.py``."""
    parts = re.split(r"([0-9]+)", path.casefold())
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)


def unique_name(wanted: str, taken: Iterable[str]) -> str:
    """Return `wanted`, or with ``-2``, ``-3``... the first that `taken` (case-folded) lacks."""
    used = set(taken)
    name, number = wanted, 1
    while name.casefold() in used:
        number += 1
        name = f"{wanted}-{number}"
    return name
