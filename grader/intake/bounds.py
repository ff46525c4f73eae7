"""What intake is willing to read, and how it says no."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one submission, checked before the work they bound is done.

    Attributes:
        file_bytes: one file, as it lies on disk or in an archive.
        submission_bytes: all files of a submission together, unpacked.
        script_bytes: one script; parsing Python costs about 200 bytes of memory a byte.
        cell_source_bytes: the source of one cell of a notebook, embedded pictures not counted.
        source_bytes: the sources of all cells together.
        cells: cells of a submission.
        files: notebooks and scripts of a submission.
        entries: entries of a folder or an archive, whatever they are.
        folder_depth: folders inside folders.
        json_depth: brackets inside brackets.
        json_brackets: opening brackets of a notebook.
        expansion_ratio: unpacked bytes for each packed byte.
        ratio_floor_bytes: smaller files may expand by any ratio.
        name_characters: the name of a submission.
        path_bytes: a path inside a folder or an archive.
        printed_characters: what is kept of a cell's saved output.
        picture_bytes: one attached picture.
        pictures: attached pictures of a submission.
    """

    file_bytes: int = 32 << 20
    submission_bytes: int = 64 << 20
    script_bytes: int = 1 << 20
    cell_source_bytes: int = 1 << 20
    source_bytes: int = 2 << 20
    cells: int = 5000
    files: int = 200
    entries: int = 10_000
    folder_depth: int = 8
    json_depth: int = 64
    json_brackets: int = 1_000_000
    expansion_ratio: int = 200
    ratio_floor_bytes: int = 1 << 20
    name_characters: int = 100
    path_bytes: int = 1024
    printed_characters: int = 8192
    picture_bytes: int = 1 << 20
    pictures: int = 8


class Refused(Exception):
    """What was handed in cannot be read as a submission.

    Attributes:
        code: entry ``intake.*`` of the message catalogue.
        values: fills the message; names the file and, where there is one, the bound.
    """

    def __init__(self, code: str, values: Mapping[str, str]) -> None:
        super().__init__(f"{code} {dict(values)!r}")
        self.code = code
        self.values = dict(values)

    def __reduce__(self) -> tuple[type["Refused"], tuple[str, dict[str, str]]]:
        """Let a worker of a cluster hand it to the judge."""
        return Refused, (self.code, self.values)


def refuse(code: str, file: str, /, **values: object) -> Refused:
    """Return the refusal ``intake.CODE`` of `file`, to be raised."""
    shown = {name: str(value) for name, value in values.items()}
    return Refused(f"intake.{code}", {"file": file, **shown})


def size_text(count: int) -> str:
    """Return a number of bytes as a person writes it: ``32 MB``, ``1.5 KB``, ``12 B``."""
    for factor, unit in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if count >= factor:
            return f"{count / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{count} B"


def require_size(count: int, bound: int, file: str, code: str = "file-too-large") -> None:
    """Refuse `file` where it has more bytes than `bound`.

    Raises:
        Refused: `count` is above `bound`.
    """
    if count > bound:
        raise refuse(code, file, found=size_text(count), bound=size_text(bound))
