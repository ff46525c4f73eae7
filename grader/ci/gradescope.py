"""Gradescope: the archive that it builds its image from, and the results that its harness reads.

The archive holds this package itself, the assignment and the versions of all libraries as they are
installed here, so that what an instructor tried is what Gradescope runs. The harness and the form
of `results.json` are described in Gradescope's autograder documentation ("Autograder
Specifications").
"""

import contextlib
import importlib.metadata
import os
import re
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from grader.assignments import AssignmentError, find_folder, load_assignment
from grader.batch.grading import Grading, Job, Settings
from grader.ci.words import check_title, check_words
from grader.intake.names import format_of
from grader.messages import message
from grader.model import Assignment, CheckResult, Outcome, Report
from grader.reports.clean import clean, clean_line
from grader.reports.wording import shown_points
from grader.sandbox.session import ServerFailed

MOST_OUTPUT_CHARACTERS = 4000
"""Of one check, so that all of them stay far below what a page can show."""

_PACKAGE = Path(__file__).resolve().parent.parent
_TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
_SETTINGS = "settings.json"
_WAITING = (Outcome.REVIEW, Outcome.NOT_RUN, Outcome.GRADER_ERROR)

_ENVIRONMENT = """\
export PYTHONPATH="$root/source" PYTHONDONTWRITEBYTECODE=1 XDG_CACHE_HOME="$root/cache"\
"""

_SETUP = f"""\
#!/usr/bin/env bash
# Gradescope runs this once, when it builds the image.
set -euo pipefail
root="${{AUTOGRADER_ROOT:-/autograder}}"
install() {{ apt-get install -y --no-install-recommends "$@"; }}
works() {{ command -v "$1" >/dev/null && "$1" -c 'import venv, ensurepip' 2>/dev/null; }}
has_headers() {{
  "$1" -c 'from sysconfig import get_path; open(get_path("include") + "/Python.h")' 2>/dev/null
}}
python=
for version in 3.13 3.12 3.11; do
  if works "python$version"; then python="python$version"; break; fi
done
if [ -z "$python" ] || ! has_headers "$python" || ! command -v c++ >/dev/null; then
  apt-get update
  command -v c++ >/dev/null || install g++
  for version in ${{python:-python3.13 python3.12 python3.11}}; do
    if install "$version" "$version-venv" "$version-dev"; then python="$version"; break; fi
  done
fi
if [ -z "$python" ]; then
  echo "This image has no Python 3.11, 3.12 or 3.13, and no package of one." >&2
  exit 1
fi
"$python" -m venv "$root/venv"
"$root/venv/bin/python" -m pip install --quiet --extra-index-url {_TORCH_INDEX} \\
  --requirement "$root/source/requirements.txt"
chmod -R go-rwx "$root/source/assignment"
# What this compiles is in the image then, and no submission waits for it.
{_ENVIRONMENT}
"$root/venv/bin/python" -m grader.cli doctor --lang en
"""

_RUN = f"""\
#!/usr/bin/env bash
# Gradescope runs this for each submission.
set -euo pipefail
root="${{AUTOGRADER_ROOT:-/autograder}}"
chmod go-rwx "$root/results"
{_ENVIRONMENT}
exec "$root/venv/bin/python" -m grader.ci.gradescope "$root"
"""


# ------------------------------------------------------------------ the archive


def build(out: Path, settings: Settings) -> bool:
    """Write the archive; tell whether it holds the keys of choice questions.

    Args:
        out: the file to be written.
        settings: assignment, card, profile and language of all submissions.

    Raises:
        AssignmentError: there is no such assignment.
        OSError: the file cannot be written.
    """
    load_assignment(settings.assignment)
    folder = find_folder(settings.assignment)
    inside = msgspec.structs.replace(settings, assignment="assignment")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "setup.sh", _SETUP.encode(), runs=True)
        _add(archive, "run_autograder", _RUN.encode(), runs=True)
        _add(archive, "requirements.txt", "".join(f"{one}\n" for one in pinned()).encode())
        _add(archive, _SETTINGS, msgspec.json.encode(inside))
        for path in _package_files():
            _add(archive, f"grader/{path.relative_to(_PACKAGE).as_posix()}", path.read_bytes())
        for path in sorted(folder.glob("*.py")):
            _add(archive, f"assignment/{path.name}", path.read_bytes())
        keys = folder / "solution" / "keys.toml"
        if keys.is_file():
            _add(archive, "assignment/solution/keys.toml", keys.read_bytes())
        return keys.is_file()


def _add(archive: zipfile.ZipFile, name: str, data: bytes, *, runs: bool = False) -> None:
    entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (stat.S_IFREG | (0o755 if runs else 0o644)) << 16
    archive.writestr(entry, data)


def _package_files() -> Iterator[Path]:
    for path in sorted(_PACKAGE.rglob("*")):
        unwanted = path.suffix in (".pyc", ".po") or "assignments" in path.parts
        if path.is_file() and not unwanted:
            yield path


def pinned(package: str = "grader") -> list[str]:
    """Return what a package needs, and what that needs, as installed here: ``name==version``."""
    found: dict[str, str] = {}
    waiting = [package]
    while waiting:
        for needed in importlib.metadata.requires(waiting.pop()) or ():
            name = re.split(r"[\s;<>=!~\[(]", needed, maxsplit=1)[0]
            name = re.sub(r"[-_.]+", "-", name).lower()  # PEP 503: one spelling of a name
            if "extra ==" in needed or name in found:
                continue
            try:
                version = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue  # for other systems
            found[name] = version.partition("+")[0]  # "+cpu" is chosen by the index
            waiting.append(name)
    return [f"{name}=={version}" for name, version in sorted(found.items())]


# ------------------------------------------------------------------ a submission


def grade(root: Path) -> dict[str, Any]:
    """Return the results of the submission that Gradescope laid out under `root`."""
    settings = msgspec.json.decode((root / "source" / _SETTINGS).read_bytes(), type=Settings)
    language = settings.language
    settings = msgspec.structs.replace(
        settings,
        assignment=str(root / "source" / settings.assignment),
        unsafe=True,  # the container keeps submissions apart, whatever the kernel beneath offers
    )
    submission = root / "submission"
    files = [path for path in submission.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    path = files[0] if len(files) == 1 and format_of(files[0].name) else submission
    try:
        with contextlib.closing(Grading(settings)) as grading:
            read = grading.read(Job(name="submission", path=path))
            report = read if isinstance(read, Report) else grading.grade(read)
    except (ServerFailed, AssignmentError) as error:
        reason = message(error.code, error.values, language=language)
        return failed(reason, language=language)
    return results(report, grading.assignment, language=language)


def failed(reason: str, *, language: str) -> dict[str, Any]:
    """Return the results of a submission on which the grader itself failed.

    Gradescope wants a score; the instructor sees from the text that it is not the submission's.
    """
    words = message("ci.gradescope-failed", {"reason": reason}, language=language)
    return {"score": 0.0, "output": clean(words, most=MOST_OUTPUT_CHARACTERS)}


def results(report: Report, assignment: Assignment, *, language: str) -> dict[str, Any]:
    """Return a report as the data of `results.json`.

    Checks that wait for a person have no status, so that Gradescope shows them neither green nor
    red. What the submission printed plays no part.
    """
    tests = []
    for place, task in enumerate(report.tasks, 1):
        title = assignment.task(task.id).title[language]
        for number, check in enumerate(task.checks, 1):
            asks = check_title(assignment, task.id, check.id, language=language)
            tests.append(
                {
                    "name": clean_line(f"{title}. {asks}"),
                    "number": f"{place}.{number}",
                    "output": _output(check, language),
                    "visibility": "visible",
                    "extra_data": {"check": f"{task.id}.{check.id}", "code": check.code},
                    **_score(check),
                }
            )
    return {
        "score": report.points / 100,
        "execution_time": round(report.seconds),
        "output": _head(report, language),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {
            "possible": report.possible / 100,
            "to_review": report.to_review / 100,
            "digest": report.digest,
            "isolation": report.isolation,
        },
    }


def _score(check: CheckResult) -> dict[str, Any]:
    """Return points and status; advice has neither, what waits has points only."""
    if check.possible == 0:
        return {}
    score = {"score": check.points / 100, "max_score": check.possible / 100}
    if check.outcome in _WAITING:
        return score
    passed = check.outcome is Outcome.PASSED
    return {**score, "status": "passed" if passed else "failed"}


def _output(check: CheckResult, language: str) -> str:
    words = {"text": check_words(check, language=language)}
    codes = {
        Outcome.REVIEW: "ci.waits",
        Outcome.NOT_RUN: "ci.not-asked",
        Outcome.GRADER_ERROR: "ci.ours",
    }
    code = codes.get(check.outcome)
    if code is None and check.possible == 0 and check.outcome is not Outcome.PASSED:
        code = "ci.advice"
    text = message(code, words, language=language) if code else words["text"]
    return clean(text, most=MOST_OUTPUT_CHARACTERS)


def _head(report: Report, language: str) -> str:
    values = {
        "points": shown_points(report.points, language),
        "possible": shown_points(report.possible, language),
    }
    lines = [message("cli.score", values, language=language)]
    if report.to_review:
        waiting = {"points": shown_points(report.to_review, language)}
        lines.append(message("cli.to-review", waiting, language=language))
    lines += [message(code, values, language=language) for code, values in report.notes]
    return clean("\n".join(lines), most=MOST_OUTPUT_CHARACTERS)


def main() -> None:
    """Grade what lies under the folder that is the only argument, and write the results."""
    root = Path(sys.argv[1])
    data = msgspec.json.format(msgspec.json.encode(grade(root)), indent=1)
    target = root / "results" / "results.json"
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        file.write(data)
    Path(file.name).chmod(0o644)
    os.replace(file.name, target)  # noqa: PTH105  # atomic, over whatever lies there


if __name__ == "__main__":
    main()
