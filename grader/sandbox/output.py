"""What a cell prints: the beginning and the end are kept, all of it is counted."""

import io

from grader.sandbox.untouched import Foreign, shield

shield(globals())

CUT_MARK = b"\n[...]\n"


class BoundedWriter(io.TextIOBase):
    """Stands for `sys.stdout` and `sys.stderr`: keeps at most `limit_bytes`, never fails.

    Three quarters of the limit go to the beginning, the rest to the end, so that both the first
    line and the last result can be read.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self._head_limit = limit_bytes * 3 // 4
        self._tail_limit = max(0, limit_bytes - self._head_limit - len(CUT_MARK))
        self._head = bytearray()
        self._tail = bytearray()
        self.total_bytes = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Name of the encoding, for libraries that ask."""
        return "utf-8"

    @property
    def buffer(self) -> "ByteWriter":
        """A writer of bytes into the same place."""
        return ByteWriter(self)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Take `text`.

        Raises:
            TypeError: `text` is no str.
        """
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.write_bytes(text.encode("utf-8", "replace"))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Take bytes."""
        self.total_bytes += len(data)
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail += data[-(self._tail_limit + len(CUT_MARK)) - 4 :]
            keep = self._tail_limit + len(CUT_MARK)
            if len(self._tail) > 2 * keep:
                del self._tail[:-keep]

    def close(self) -> None:
        """Do nothing: a cell that closes its output would silence the next one."""

    def text(self) -> str:
        """Return what was kept."""
        keep = self._tail_limit + len(CUT_MARK)
        if len(self._head) + len(self._tail) == self.total_bytes and len(self._tail) <= keep:
            return bytes(self._head + self._tail).decode("utf-8", "ignore")
        tail = bytes(self._tail[-self._tail_limit :]) if self._tail_limit else b""
        return (bytes(self._head) + CUT_MARK + tail).decode("utf-8", "ignore")


class ByteWriter(io.RawIOBase):
    """The ``buffer`` of a `BoundedWriter`."""

    def __init__(self, writer: BoundedWriter) -> None:
        super().__init__()
        self._writer = writer

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Foreign) -> int:
        """Take bytes."""
        taken = bytes(data)
        self._writer.write_bytes(taken)
        return len(taken)
