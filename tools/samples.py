"""Make the notebooks and archives of `submissions/`: ``python tools/samples.py [--check]``.

Sources are `tools/samples/NAME/FILE.ipynb.py`, with cells that start with ``# %%`` (code),
``# %% [markdown]`` or ``# %% [output]`` (what the cell above printed when the student ran it). A
folder whose name ends in ``.zip`` or ``.tar.gz`` is packed: `tools/samples/zipped/FILE.zip/...`.
Scripts and `expect.toml` stand in `submissions/` as they are; the table of its README is made from
the latter, and the empty sample is the handout. The output depends on nothing but the sources.
With ``--check`` nothing is written, and a stale file is an error.
"""

import gzip
import io
import json
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = Path(__file__).parent / "samples"
SUBMISSIONS = ROOT / "submissions"
README = SUBMISSIONS / "README.md"
HANDED_OUT = (
    ROOT / "reference" / "intro_to_torch" / "handout" / "homework.ru.ipynb",
    SUBMISSIONS / "empty-handout" / "homework.ru.ipynb",
)
_TABLE_HEAD = "| folder | what it shows | points | to review |\n|---|---|---|---|\n"
_MARK = "# %%"
_SUFFIX = ".ipynb.py"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def make_notebook(source: str) -> str:
    """Return the notebook that a source describes, as JSON text."""
    cells: list[dict[str, object]] = []
    for piece in f"\n{source}".split(f"\n{_MARK}")[1:]:
        kind, _, body = piece.partition("\n")
        body = body.strip("\n")
        if kind.strip() == "[output]":
            cells[-1]["outputs"] = [
                {"name": "stdout", "output_type": "stream", "text": f"{_uncommented(body)}\n"}
            ]
        elif kind.strip() == "[markdown]":
            cells.append(
                {"cell_type": "markdown", "metadata": {}, "source": _lines(_uncommented(body))}
            )
        else:
            cells.append(
                {
                    "cell_type": "code",
                    "execution_count": None,
                    "metadata": {},
                    "outputs": [],
                    "source": _lines(body),
                }
            )
    for number, cell in enumerate(cells, 1):
        cell["id"] = f"cell-{number:02}"
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def make_all() -> dict[Path, bytes]:
    """Return the files of the samples by path."""
    made: dict[Path, bytes] = {}
    for sample in sorted(path for path in SOURCES.iterdir() if path.is_dir()):
        for path in sorted(sample.iterdir()):
            target = SUBMISSIONS / sample.name / path.name.removesuffix(".py")
            if path.is_dir():
                made[target] = _packed(path)
            elif path.name.endswith(_SUFFIX):
                made[target] = make_notebook(path.read_text(encoding="utf-8")).encode()
    made[HANDED_OUT[1]] = HANDED_OUT[0].read_bytes()
    made[README] = _with_table(README.read_text(encoding="utf-8")).encode()
    return made


def _with_table(readme: str) -> str:
    """Return the README with a table of the samples at its end."""
    rows = [_TABLE_HEAD]
    for path in sorted(SUBMISSIONS.glob("*/expect.toml")):
        text = path.read_text(encoding="utf-8")
        shows = text.splitlines()[0].removeprefix("# ")
        expected = tomllib.loads(text)
        points, review = expected["points"], expected["to_review"]
        rows.append(f"| `{path.parent.name}` | {shows} | {points} | {review} |\n")
    return readme[: readme.index(_TABLE_HEAD)] + "".join(rows)


def main(arguments: Sequence[str]) -> int:
    """Write or check the samples; return the exit code."""
    check = "--check" in arguments
    stale = False
    for path, content in make_all().items():
        if path.is_file() and path.read_bytes() == content:
            continue
        stale = True
        print(f"{'stale' if check else 'wrote'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return 1 if check and stale else 0


def _packed(folder: Path) -> bytes:
    """Return a folder of sources as an archive, without clock and owner."""
    files = [
        (path.name.removesuffix(".py"), make_notebook(path.read_text(encoding="utf-8")).encode())
        for path in sorted(folder.glob(f"*{_SUFFIX}"))
    ]
    buffer = io.BytesIO()
    if folder.name.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files:
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
        return buffer.getvalue()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _uncommented(text: str) -> str:
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.split("\n"))


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
