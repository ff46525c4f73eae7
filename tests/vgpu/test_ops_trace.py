"""What statements allocate, beside a recording of the same script in a real CUDA build.

`data/trace_ops.py` is the script; `data/ops_trace.txt` its output where PyTorch's own CUDA library ran
over a driver that computes nothing. Each line: section, statement, allocated, reserved, peak,
allocations, requested bytes.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[2]
LINE = re.compile(r"   (\w+) (\d+) (\d+) (\d+) (\d+) \d+ \d+$")

PLAY = """
import sys, types
import grader.vgpu as vgpu
stand_in = types.ModuleType("vgpu")
stand_in.install = vgpu.install
sys.modules["vgpu"] = stand_in
script = sys.argv.pop(1)
sys.argv.append("vgpu")
exec(compile(open(script).read(), script, "exec"))
"""


def parse(text):
    """Return {(section, statement): (allocated, reserved, peak, error before it)}."""
    found, error = {}, None
    for line in text.splitlines():
        figures = LINE.match(line)
        if figures:
            section, number, *rest = figures.groups()
            found[section, int(number)] = (*map(int, rest), error)
            error = None
        elif line.startswith("    "):
            error = line.strip()
    return found


@pytest.fixture(scope="module")
def played():
    done = subprocess.run(
        [sys.executable, "-c", PLAY, str(DATA / "trace_ops.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return parse(done.stdout)


@pytest.fixture(scope="module")
def recorded():
    return parse((DATA / "ops_trace.txt").read_text("utf-8"))


def test_every_statement_allocates_and_reserves_what_the_real_build_does(played, recorded):
    assert len(recorded) >= 297
    different = {
        key: (figures[:2], played.get(key, (None, None))[:2])
        for key, figures in recorded.items()
        if played.get(key, (None, None))[:2] != figures[:2]
    }
    assert different == {}


def test_every_statement_has_the_peak_of_the_real_build(played, recorded):
    different = {
        key: (figures[2], played[key][2])
        for key, figures in recorded.items()
        if played[key][2] != figures[2]
    }
    assert different == {}


def test_errors_read_as_pytorchs_own(played, recorded):
    different = {
        key: (figures[3], played[key][3])
        for key, figures in recorded.items()
        if played[key][3] != figures[3]
    }
    assert different == {}
