"""Make the handout and the solution notebooks: ``python tools/handout.py [FOLDER...] [--check]``.

Reads `solution/homework.py` of an assignment (`reference/intro_to_torch` without arguments) and
writes `handout/homework.LANG.ipynb`, without the answers, and `solution/solution.LANG.ipynb`, with
them. The output depends on nothing but the source. With ``--check`` nothing is written, and a
stale file is an error.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LANGUAGES = ("en", "ru")
_MARK = "# %%"
_AUDIENCES = ("both", "handout", "answer")


class SourceError(Exception):
    """A source that cannot be read, said with file and line."""


@dataclass(frozen=True, slots=True)
class SourceCell:
    """A cell of the source.

    Attributes:
        kind: ``text`` or ``code``.
        audience: ``both``, ``handout`` or ``answer``.
        languages: those it is for.
        source: its text, markdown for ``text``.
    """

    kind: str
    audience: str
    languages: tuple[str, ...]
    source: str


def read_source(path: Path) -> list[SourceCell]:
    """Return the cells of a source.

    Raises:
        SourceError: a cell does not say what it is, or for whom: nothing is given out by default.
    """
    cells: list[SourceCell] = []
    for line, mark, body in _split(path.read_text(encoding="utf-8")):
        words = mark.split()
        kinds = [word for word in words if word in ("text", "code")]
        audiences = [word for word in words if word in _AUDIENCES]
        languages = tuple(word for word in words if word in LANGUAGES)
        if len(kinds) != 1 or len(audiences) != 1:
            raise SourceError(
                f"{path}:{line}: a cell needs one of text, code and one of {_AUDIENCES}"
            )
        if len(words) != 2 + len(languages):
            raise SourceError(f"{path}:{line}: words that mean nothing in {mark!r}")
        source = _markdown(body) if kinds[0] == "text" else "\n".join(body).strip("\n")
        cells.append(SourceCell(kinds[0], audiences[0], languages or LANGUAGES, source))
    return cells


def make_notebook(cells: Sequence[SourceCell], *, language: str, answers: bool) -> str:
    """Return a notebook as JSON text.

    Args:
        cells: the source.
        language: of its texts.
        answers: the solution if true, else the handout.
    """
    wanted = ("both", "answer") if answers else ("both", "handout")
    chosen = [c for c in cells if c.audience in wanted and language in c.languages]
    notebook = {
        "cells": [_notebook_cell(number, cell) for number, cell in enumerate(chosen, 1)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def make_all(folder: Path) -> dict[Path, str]:
    """Return the notebooks of an assignment by path."""
    cells = read_source(folder / "solution" / "homework.py")
    made: dict[Path, str] = {}
    for language in LANGUAGES:
        handout = folder / "handout" / f"homework.{language}.ipynb"
        made[handout] = make_notebook(cells, language=language, answers=False)
        solution = folder / "solution" / f"solution.{language}.ipynb"
        made[solution] = make_notebook(cells, language=language, answers=True)
    return made


def main(arguments: Sequence[str]) -> int:
    """Write or check the notebooks; return the exit code."""
    check = "--check" in arguments
    folders = [Path(word) for word in arguments if word != "--check"]
    stale = False
    try:
        for folder in folders or [ROOT / "reference" / "intro_to_torch"]:
            for path, text in make_all(folder).items():
                if path.exists() and path.read_text(encoding="utf-8") == text:
                    continue
                stale = True
                print(f"{'stale' if check else 'wrote'}: {path}")
                if not check:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
    except (OSError, SourceError) as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if check and stale else 0


def _split(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield (line number, words of the mark, lines below) of each cell."""
    mark, began, body = "", 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(_MARK):
            if mark:
                yield began, mark, body
            mark, began, body = line.removeprefix(_MARK).strip() or "nothing", number, []
        else:
            body.append(line)
    if mark:
        yield began, mark, body


def _markdown(lines: Sequence[str]) -> str:
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines).strip("\n")


def _notebook_cell(number: int, cell: SourceCell) -> dict[str, object]:
    common: dict[str, object] = {
        "cell_type": "markdown" if cell.kind == "text" else "code",
        "id": f"cell-{number:02}",
        "metadata": {},
        "source": cell.source.splitlines(keepends=True),
    }
    if cell.kind == "code":
        common |= {"execution_count": None, "outputs": []}
    return common


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
