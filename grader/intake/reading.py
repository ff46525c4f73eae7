"""Paths and bytes become submissions."""

from pathlib import Path

from grader.intake.archive import Found, read_archive
from grader.intake.bounds import Bounds, Refused, refuse
from grader.intake.disk import read_file_bytes, read_folder
from grader.intake.entries import is_no_submission
from grader.intake.names import clean_name, format_of, shown_path
from grader.intake.submission import name_of, submission_from_files
from grader.model import Submission

ACCEPTED = ".ipynb, .py, .zip, .tar.gz"
_MOST_NAMED = 5


def read_submission(
    path: Path, *, name: str | None = None, bounds: Bounds | None = None
) -> Submission:
    """Return the submission at `path`: a notebook, a script, an archive or a folder of these.

    Raises:
        Refused: it cannot be read as a submission.
    """
    bounds = bounds or Bounds()
    shown = shown_path(path.name or str(path))
    if path.is_symlink():
        raise refuse("not-a-file", shown)
    if not path.is_dir():
        data = read_file_bytes(path, shown, bounds)
        return read_submission_bytes(data, path.name, name=name, bounds=bounds)
    found = read_folder(path, bounds)
    if not found.files:
        raise _nothing(found, shown)
    inner = next(iter(found.files))
    own_name = name or clean_name(path.resolve().name, bounds)
    if format_of(inner) in ("zip", "tar"):
        data = found.files[inner]
        return read_submission_bytes(data, inner, name=own_name, bounds=bounds)
    return _from_found(found, own_name, bounds)


def read_submission_bytes(
    data: bytes, filename: str, *, name: str | None = None, bounds: Bounds | None = None
) -> Submission:
    """Return the submission that one file's bytes hold; `filename` says what they are.

    Raises:
        Refused: they cannot be read as a submission.
    """
    bounds = bounds or Bounds()
    shown = shown_path(filename.replace("\\", "/").rsplit("/", 1)[-1])
    own_name = name or name_of(filename)
    kind = format_of(filename)
    if kind in ("ipynb", "py"):
        return _from_found(Found({shown: data}), own_name, bounds)
    if kind in ("zip", "tar"):
        found = read_archive(data, shown, bounds)
        if not found.files:
            raise _nothing(found, shown)
        return _from_found(found, own_name, bounds)
    raise refuse("unknown-format", shown, bound=ACCEPTED)


def _nothing(found: Found, file: str) -> Refused:
    """Return the refusal of what has no source; a person may open what it holds instead."""
    others = [path for path in found.others if not is_no_submission(path.rsplit("/", 1)[-1])]
    holds = {"holds": ", ".join(map(shown_path, others[:_MOST_NAMED]))} if others else {}
    return refuse("nothing-to-grade", file, bound=ACCEPTED, **holds)


def _from_found(found: Found, name: str, bounds: Bounds) -> Submission:
    return submission_from_files(found.files, name=name, bounds=bounds, notes=found.notes)
