"""Frames between judge and child: a 4-byte little-endian length, a token, msgpack; never pickle.

The judge makes a new token for each question, and the reply carries it back: what was written
before its question could be read is no reply. The child's side blocks. The judge's side never waits
without a deadline, takes no more than a cap, keeps no more memory than bytes have arrived, and
decodes strictly into the types of `grader.sandbox.protocol`.
"""

import os
import struct
import time
from typing import Protocol

import msgspec

from grader.sandbox.protocol import FromChild, FromJudge, ProtocolError
from grader.sandbox.untouched import shield

shield(globals())

MOST_FROM_CHILD = 8 << 20
"""Bytes of one message from a child."""
TOKEN_BYTES = 8

_AT_ONCE = 1 << 20
_HEAD = struct.Struct("<I8s")
_ENCODE = msgspec.msgpack.Encoder().encode
_FROM_CHILD: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
_FROM_JUDGE: msgspec.msgpack.Decoder[FromJudge] = msgspec.msgpack.Decoder(FromJudge)

_read = os.read  # student code may assign to `os`
_write = os.write


class Gone(Exception):
    """The other end is closed."""


class Late(Exception):
    """The deadline passed."""


def new_token() -> bytes:
    """Return a token that nobody can have known before."""
    return os.urandom(TOKEN_BYTES)


def frame(message: msgspec.Struct, token: bytes) -> bytes:
    """Return a message with its length and token before it."""
    data = _ENCODE(message)
    return _HEAD.pack(len(data), token) + data


class Channel:
    """The child's end, blocking.

    Student code in the same process can close or replace the descriptors; then the judge sees the
    end of the messages, and that is all it learns.
    """

    def __init__(self, fd: int, write_fd: int | None = None) -> None:
        """Use one descriptor for both directions, or one each where they are pipes."""
        self._read_fd = fd
        self._write_fd = fd if write_fd is None else write_fd
        self._token = bytes(TOKEN_BYTES)

    def receive(self) -> FromJudge:
        """Return the next message.

        Raises:
            Gone: the judge has closed its end.
        """
        length, self._token = _HEAD.unpack(self._take(_HEAD.size))
        return _FROM_JUDGE.decode(self._take(length))

    def send(self, message: FromChild) -> None:
        """Send the reply to the message that was received last.

        Raises:
            Gone: the judge has closed its end.
        """
        rest = memoryview(frame(message, self._token))
        while rest:
            try:
                rest = rest[_write(self._write_fd, rest) :]
            except BrokenPipeError:
                raise Gone from None

    def _take(self, length: int) -> bytes:
        taken = _read(self._read_fd, min(length, _AT_ONCE))
        if len(taken) == length:
            return taken
        parts = bytearray(taken)
        while taken and len(parts) < length:
            taken = _read(self._read_fd, min(length - len(parts), _AT_ONCE))
            parts += taken
        if len(parts) < length:
            raise Gone
        return bytes(parts)


class Connection(Protocol):
    """The judge's end: a socket, or what behaves like one."""

    def settimeout(self, seconds: float | None, /) -> None:
        """Bound the time of the next `send` or `recv`, which then raise `TimeoutError`."""
        ...

    def send(self, data: memoryview, /) -> int:
        """Send some of the bytes and return how many."""
        ...

    def recv(self, length: int, /) -> bytes:
        """Return at most `length` bytes, none at the end."""
        ...


def ensure_silent(connection: Connection) -> None:
    """Hold that the child has sent nothing it was not asked for; each question has one reply.

    Raises:
        ProtocolError: bytes wait, such as a reply to a question that has not been asked.
    """
    connection.settimeout(0)
    try:
        early = connection.recv(64)
    except OSError:  # nothing waits, or the end does, which the next step meets
        return
    if early:
        raise ProtocolError(f"the child spoke before it was asked: {early!r}")


def send_frame(connection: Connection, data: bytes, deadline: float) -> None:
    """Send the bytes of a `frame`.

    Args:
        connection: the judge's end.
        data: the frame.
        deadline: on `time.monotonic`.

    Raises:
        Gone: the child has closed its end.
        Late: it did not read in time.
    """
    rest = memoryview(data)
    while rest:
        _bound(connection, deadline)
        try:
            rest = rest[connection.send(rest) :]
        except TimeoutError:
            raise Late from None
        except OSError as error:
            raise Gone from error


def read_frame(
    connection: Connection, token: bytes, deadline: float, limit: int = MOST_FROM_CHILD
) -> bytes:
    """Return the bytes of the child's reply to the question with this token.

    Raises:
        Gone: the child has closed its end.
        Late: the deadline passed.
        ProtocolError: the message is longer than `limit` bytes, or answers another question.
    """
    length, replied_to = _HEAD.unpack(_collect(connection, _HEAD.size, deadline))
    if length > limit:
        raise ProtocolError(f"the child announced {length} bytes; {limit} are allowed")
    if replied_to != token:
        raise ProtocolError("the child sent a reply to another question than the one asked")
    return _collect(connection, length, deadline)


def decode(data: bytes) -> FromChild:
    """Return the message in `data`.

    Raises:
        ProtocolError: it is none of ours.
    """
    try:
        return _FROM_CHILD.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        # ValueError covers bytes that are no UTF-8, which msgspec lets through as they come.
        raise ProtocolError(f"the child sent {data[:60]!r}: {str(error)[:200]}") from None


def _collect(connection: Connection, length: int, deadline: float) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        _bound(connection, deadline)
        try:
            part = connection.recv(min(_AT_ONCE, length - len(parts)))
        except TimeoutError:
            raise Late from None
        except OSError as error:
            raise Gone from error
        if not part:
            raise Gone
        parts += part
    return bytes(parts)


def _bound(connection: Connection, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise Late
    connection.settimeout(left)
