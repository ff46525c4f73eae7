"""Bytes of a script or a notebook become text."""

import codecs
import re

from grader.intake.bounds import refuse

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]{1,40})")  # PEP 263
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_ALLOWED = ("utf-8", "cp1251", "koi8-r", "cp866", "iso8859-1", "iso8859-5", "iso8859-15", "cp1252")


def decode_text(data: bytes, file: str) -> tuple[str, str]:
    r"""Return the text of `data` with ``\\n`` line ends, and the encoding it was read with.

    UTF-8 with or without a byte order mark, UTF-16 with one, the encoding a script declares;
    else Windows-1251 where the bytes look like Cyrillic words, else Latin-1.

    Raises:
        Refused: it holds zero bytes, or is not in the encoding that its mark promises.
    """
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise refuse("not-text", file) from error
    if "\0" in text:
        raise refuse("not-text", file)
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def _encoding(data: bytes) -> str:
    if data.startswith(_UTF16):
        return "utf-16"
    if _decodes(data, "utf-8"):
        return "utf-8-sig"
    declared = _declared(data)
    if declared and _decodes(data, declared):
        return declared
    runs = _HIGH_RUN.findall(data)
    # Accents stand alone inside Latin words; Cyrillic words are runs of high bytes.
    cyrillic = sum(map(len, runs)) >= 2 * len(runs)
    return "cp1251" if cyrillic and _decodes(data, "cp1251") else "latin-1"


def _declared(data: bytes) -> str:
    for line in data[:400].split(b"\n")[:2]:
        if found := _COOKIE.match(line):
            try:
                name = codecs.lookup(found.group(1).decode("ascii")).name
            except (LookupError, UnicodeDecodeError):
                return ""
            # Only encodings of text: others, such as zlib, do work of their own.
            return name if name in _ALLOWED else ""
    return ""


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
