"""Bounds and repairs of JSON, on its bytes, before anything is decoded."""

import re

from grader.intake.bounds import Bounds, refuse

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_NUMBERLIKE = re.compile(_STRING.pattern + rb"|-?(?:NaN|Infinity)", re.DOTALL)
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"  # half of one
    rb"|\\.",
    re.DOTALL,
)


def require_shallow(data: bytes, file: str, bounds: Bounds) -> None:
    """Refuse JSON with too many brackets, or brackets nested too deeply.

    Only brackets outside of strings count. Innermost pairs are removed once a level, so that the
    work is bounded by the depth allowed, whatever the input.

    Raises:
        Refused: a bound is exceeded.
    """
    if data.count(b"[") + data.count(b"{") <= bounds.json_depth:
        return
    brackets = _STRING.sub(b"", data).translate(None, _NOT_BRACKETS)
    opening = brackets.count(b"[") + brackets.count(b"{")
    if opening > bounds.json_brackets:
        raise refuse("too-many-values", file, bound=bounds.json_brackets)
    for _ in range(bounds.json_depth):
        if not brackets:
            return
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(brackets) == before:
            return  # unbalanced; the decoder says so better
    if brackets:
        raise refuse("too-deep", file, bound=bounds.json_depth)


def repaired(data: bytes) -> bytes:
    r"""Return JSON without what Python writes and the standard forbids.

    ``NaN`` and ``Infinity`` become null, and half of a surrogate pair becomes U+FFFD.
    """
    if b"NaN" in data or b"Infinity" in data:
        data = _NUMBERLIKE.sub(_without_nan, data)
    if b"\\u" in data:
        data = _ESCAPE.sub(_without_half_pair, data)
    return data


def _without_nan(found: re.Match[bytes]) -> bytes:
    return found.group() if found.group().startswith(b'"') else b"null"


def _without_half_pair(found: re.Match[bytes]) -> bytes:
    text = found.group()
    return b"\\ufffd" if len(text) == 6 and text[1:3].lower() == b"ud" else text
