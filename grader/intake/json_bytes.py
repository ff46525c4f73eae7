"""Bounds and repairs of JSON, on its bytes, before anything is decoded."""

import re

from grader.intake.bounds import Bounds, refuse

_NOT_STRUCTURE = bytes(byte for byte in range(256) if byte not in b'"[]{}')
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TO_NAN = re.compile(
    rb'(?:[^"NI]++|' + _STRING + rb"|[NI](?!aN|nfinity))*+(?P<found>NaN|Infinity)", re.DOTALL
)
_TO_HALF_PAIR = re.compile(
    rb"(?:[^\\]++"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\(?!u[dD][89a-fA-F]).)*+"
    rb"(?P<found>\\u[dD][89a-fA-F][0-9a-fA-F]{2})",
    re.DOTALL,
)
_MOST_REPAIRS = 1_000_000


def require_shallow(data: bytes, file: str, bounds: Bounds) -> None:
    """Refuse JSON with too many brackets, or brackets nested too deeply.

    Only brackets outside of strings count. Innermost pairs are removed once a level, so that the
    work is bounded by the depth allowed, whatever the input.

    Raises:
        Refused: a bound is exceeded.
    """
    if data.count(b"[") + data.count(b"{") <= bounds.json_depth:
        return
    brackets = _brackets_outside_strings(data)
    if brackets.count(b"[") > bounds.json_brackets:
        raise refuse("too-many-values", file, bound=bounds.json_brackets)
    for _ in range(bounds.json_depth):
        if not brackets:
            return
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if len(brackets) == before:
            return  # unbalanced; the decoder says so better
    if brackets:
        raise refuse("too-deep", file, bound=bounds.json_depth)


def _brackets_outside_strings(data: bytes) -> bytes:
    """Return the brackets alone, all of them square, by steps that each pass over the bytes once.

    Without escaped backslashes, then without escaped quotes, every quote begins or ends a string.
    """
    quoted = data.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NOT_STRUCTURE)
    outside = b"".join(quoted.replace(b'""', b"").split(b'"')[::2])
    return outside.translate(bytes.maketrans(b"{}", b"[]"))


def repaired(data: bytes) -> bytes:
    r"""Return JSON without what Python writes and the standard forbids.

    ``NaN`` and ``Infinity`` become 0, since only fields that nobody reads hold numbers, and half
    of a surrogate pair becomes U+FFFD. Beyond a number of repairs the rest stays as it is.
    """
    fixed = bytearray(data)
    if b"NaN" in data or b"Infinity" in data:
        _overwrite(fixed, _TO_NAN, b"0")
    if rb"\ud" in data or rb"\uD" in data:
        _overwrite(fixed, _TO_HALF_PAIR, rb"\ufffd")
    return bytes(fixed)


def _overwrite(data: bytearray, pattern: re.Pattern[bytes], by: bytes) -> None:
    """Put `by`, filled up with spaces, over each place found; the length stays the same."""
    at = 0
    for _ in range(_MOST_REPAIRS):
        found = pattern.match(data, at)
        if found is None:
            return
        start, at = found.span("found")
        del found  # it holds on to the bytes
        data[start:at] = by.ljust(at - start)
