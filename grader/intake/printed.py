"""What a notebook kept of a cell's last run, as bounded text."""

import re
from collections.abc import Iterable, Iterator

import msgspec

_Text = str | list[str] | None
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and cursor movement
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles and links
    r"|\x1b[@-_]?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
_OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n)")
_CUT = "\n...\n"


class _Data(msgspec.Struct):
    plain: _Text = msgspec.field(name="text/plain", default=None)


class Output(msgspec.Struct):
    """An output of a code cell: a stream, a shown value or an error; other fields are skipped."""

    output_type: str
    text: _Text = None
    data: _Data | None = None
    ename: str | None = None
    evalue: str | None = None
    traceback: list[str] | None = None


def printed_text(outputs: list[Output], limit: int) -> str:
    """Return the text of `outputs`, at most about `limit` characters, the middle left out."""
    texts = (_cleaned(_bounded(_chunks(output), limit)) for output in outputs)
    return _shortened("\n".join(text.rstrip("\n") for text in texts if text.strip()), limit)


def _chunks(output: Output) -> Iterator[str]:
    if output.output_type == "error":
        if output.traceback:
            yield "\n".join(output.traceback[-50:])
        else:
            yield f"{output.ename or ''}: {output.evalue or ''}"
        return
    for text in (output.text, output.data.plain if output.data else None):
        yield from [text] if isinstance(text, str) else text or ()


def _bounded(chunks: Iterable[str], limit: int) -> str:
    """Join chunks, keeping enough of both ends for what `_shortened` keeps after cleaning."""
    text = "".join(chunks)
    return text if len(text) <= 8 * limit else text[: 4 * limit] + _CUT + text[-4 * limit :]


def _cleaned(text: str) -> str:
    # A progress bar rewrites its line with carriage returns; the last state is what was seen.
    return _ESCAPES.sub("", _OVERWRITTEN.sub("", text)).replace("\r", "")


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = limit * 5 // 8
    return text[:head] + _CUT + text[len(text) - (limit - head - len(_CUT)) :]
