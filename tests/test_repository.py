"""Tests of the repository itself: the rules that nobody should have to remember."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from grader.messages import LANGUAGES, codes

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "grader").rglob("*.py"))
MOST_LINES = 650
FILE_ENDINGS = {"py", "po", "mo", "csv", "db", "json", "db-wal", "db-shm", "db-journal"}
CODE = re.compile(r'"([a-z]+(?:-[a-z]+)*\.[a-z0-9]+(?:-[a-z0-9]+)*)"')

FILE = re.compile(r"\.(py|po|mo|csv|db|json|html|toml|db-wal|db-shm|db-journal)$")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_small_enough_to_read(module):
    lines = len(module.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{module} has {lines} lines; split it by what it knows"


def test_every_message_exists_in_every_language():
    assert len({codes(language) for language in LANGUAGES}) == 1


AREAS = {code.split(".")[0] for code in codes()}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_code_in_use_has_a_message(module):
    used = {code for code in CODE.findall(module.read_text("utf-8")) if code.split(".")[0] in AREAS}
    names = {code for code in used if code.rsplit(".")[-1] in FILE_ENDINGS}
    assert used - names <= codes()


def loaded(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_help_answers_without_heavy_modules():
    program = (
        "import sys, grader.cli.main;"
        "heavy = {'torch', 'numpy', 'pandas', 'hypothesis', 'IPython', 'rich', 'jinja2'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_judge_never_loads_torch():
    program = (
        "import sys, grader.judge, grader.cli.check, grader.batch.worker;"
        "print(sorted({'torch', 'numpy', 'IPython'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
