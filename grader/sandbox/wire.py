"""Frames between judge and child: a 4-byte little-endian length and msgpack, never pickle.

The child blocks. The judge never does: it has a deadline and a cap for everything it waits for, and
decodes strictly into the types of `grader.sandbox.protocol`.
"""

import os
import select
import socket
import struct
import time

import msgspec

from grader.sandbox.protocol import FromChild, FromJudge, ProtocolError

MOST_FROM_CHILD = 8 << 20
MOST_TO_CHILD = 64 << 20
_LENGTH = struct.Struct("<I")


class Gone(Exception):
    """The other end is closed."""


class Late(Exception):
    """The deadline passed."""


class Channel:
    """The child's end of the socket; blocking."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._decode = msgspec.msgpack.Decoder(FromJudge).decode
        self._encode = msgspec.msgpack.Encoder().encode

    def receive(self) -> FromJudge:
        """Return the next message.

        Raises:
            Gone: the judge has closed its end.
        """
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        return self._decode(self._read(length))

    def send(self, message: FromChild) -> None:
        """Send a message."""
        data = self._encode(message)
        view = memoryview(_LENGTH.pack(len(data)) + data)
        while view:
            view = view[os.write(self._fd, view) :]

    def _read(self, length: int) -> bytes:
        parts = []
        while length:
            part = os.read(self._fd, min(length, 1 << 20))
            if not part:
                raise Gone
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODER: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)


def send_frame(connection: socket.socket, message: msgspec.Struct, deadline: float) -> None:
    """Send a message to the child.

    Raises:
        Gone: the child has closed its end.
        Late: it did not read in time.
    """
    data = _ENCODE(message)
    view = memoryview(_LENGTH.pack(len(data)) + data)
    while view:
        _wait(connection, select.POLLOUT, deadline)
        try:
            view = view[connection.send(view) :]
        except BlockingIOError:
            continue
        except OSError as error:
            raise Gone from error


def read_frame(connection: socket.socket, deadline: float, limit: int = MOST_FROM_CHILD) -> bytes:
    """Return the bytes of the next message from the child.

    Raises:
        Gone: the child has closed its end.
        Late: the deadline passed.
        ProtocolError: the message is longer than `limit` bytes.
    """
    (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size, deadline))
    if length > limit:
        raise ProtocolError(f"the child announced {length} bytes; {limit} are allowed")
    return _receive(connection, length, deadline)


def decode(data: bytes) -> FromChild:
    """Return the message in `data`.

    Raises:
        ProtocolError: it is none of ours.
    """
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ProtocolError(f"the child sent {data[:60]!r}: {str(error)[:200]}") from error


def _receive(connection: socket.socket, length: int, deadline: float) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        _wait(connection, select.POLLIN, deadline)
        try:
            part = connection.recv(min(1 << 20, length - len(parts)))
        except BlockingIOError:
            continue
        except OSError as error:
            raise Gone from error
        if not part:
            raise Gone
        parts += part
    return bytes(parts)


def _wait(connection: socket.socket, event: int, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise Late
    poll = select.poll()
    poll.register(connection, event)
    if not poll.poll(left * 1000):
        raise Late
