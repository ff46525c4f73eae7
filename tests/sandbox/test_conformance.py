"""The conformance kit: every hostile submission at every level of isolation, each with a control.

`tests.sandbox.attacks` names the submissions. An attack is held where it prints no ``WON``; its
control is the same code where its locks are off, and there it does.
"""

import platform
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from grader.sandbox import layers
from tests.sandbox.attacks import ATTACKS, INSIDE
from tests.sandbox.exhaustion import EXHAUSTIONS
from tests.sandbox.judging import Job
from tests.sandbox.levels import FILTERED, IS_ROOT, LEVELS, OPEN, JudgeProcess, Missing

pytestmark = pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() != "x86_64",
    reason="the locks are Linux's, and the attacks name system calls by their x86-64 numbers",
)


SOME = (
    "passwd",
    "solution",
    "home",
    "address",
    "gradebook-times",
    "fork",
    "execute",
    "kill-judge",
    "slow-judge",
    "thread-bomb",
    "tcp",
    "abstract",
    "too-much-private",
    "note-in-file",
)
EXHAUSTED = [level for level in LEVELS if level.name in ("root-all", "user-no-namespaces")]


class Judges:
    """Judges by level, started when first needed."""

    def __init__(self):
        self._judges = {}
        self._missing = {}

    def __getitem__(self, level):
        if level.name in self._missing:
            pytest.skip(self._missing[level.name])
        if level.name not in self._judges:
            folder = Path(tempfile.mkdtemp(prefix=f"grader-{level.name}-", dir="/tmp"))
            try:
                self._judges[level.name] = JudgeProcess(level, folder), folder
            except Missing as missing:
                self._missing[level.name] = str(missing)
                pytest.skip(str(missing))
        return self._judges[level.name][0]

    def close(self):
        for judge, folder in self._judges.values():
            judge.__exit__()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def judges():
    judges = Judges()
    yield judges
    judges.close()


def in_group(level):
    """Run all tests of a level in one process, so that its judge starts once."""
    return pytest.param(level, id=level.name, marks=pytest.mark.xdist_group(level.name))


def has_won(seen):
    return "WON" in seen.text


def job(attack, style, *, inside=False):
    return Job(cells=list(attack.cells), later=list(attack.later), style=style, inside=inside)


def styles_at(attack, level):
    """Every style where all locks hold; elsewhere one, since the locks are below the styles."""
    return attack.styles if level.layers == layers.ALL else attack.styles[:1]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
@pytest.mark.parametrize("level", [in_group(level) for level in LEVELS])
def test_an_attack_is_held(judges, level, attack):
    for style in styles_at(attack, level):
        seen = judges[level].run(job(attack, style))
        assert not has_won(seen), f"{attack.tries}, as {style}: {seen.text}"
        assert (seen.failed, seen.left) == ("", 0)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
@pytest.mark.parametrize("level", [in_group(OPEN)])
def test_an_attack_works_where_nothing_holds_it(judges, level, attack):
    if attack.as_root and not IS_ROOT:
        pytest.skip("the control needs root")
    inside = attack.control == INSIDE
    seen = judges[level].run(job(attack, attack.styles[0], inside=inside))
    if attack.machine_may_refuse and not has_won(seen):
        pytest.skip("this machine refuses it without any lock of ours")
    assert has_won(seen), f"{attack.tries}: {seen.text}"


@pytest.mark.parametrize("exhaustion", EXHAUSTIONS, ids=lambda exhaustion: exhaustion.name)
@pytest.mark.parametrize("level", [in_group(level) for level in EXHAUSTED])
def test_what_does_not_end_is_ended(judges, level, exhaustion):
    judge = judges[level]  # its start takes seconds, which are not the submission's
    began = time.monotonic()
    seen = judge.run(exhaustion.job)
    assert (tuple(seen.outcomes), tuple(seen.gone)) == (exhaustion.outcomes, exhaustion.gone)
    assert (seen.failed, seen.left) == ("", 0)
    assert time.monotonic() - began < 2 * exhaustion.job.seconds + 5
    assert len(seen.text) < 70_000
    assert bool(seen.anomalies) == (seen.gone[1:] == ["sandbox.ended.tampered"])
    honest = judge.run(Job(cells=["import torch\nprint(torch.ones(2).sum())"]))
    assert (honest.outcomes, honest.text.strip()) == (["passed"], "tensor(2.)")


@pytest.mark.parametrize("name", ["too-much-private", "tensors", "thread-bomb"])
def test_an_honest_submission_may_have_what_its_limits_say(judges, name):
    honest = {
        "too-much-private": "held = bytearray(100 << 20)",
        "tensors": "import torch\nheld = torch.ones(25 << 20)\n(held * 1.0).sum()",
        "thread-bomb": "import threading\n"
        "made = [threading.Thread(target=print) for _ in range(4)]\n"
        "for thread in made: thread.start()\n"
        "for thread in made: thread.join()",
    }
    for level in (LEVELS[0], LEVELS[-1]):
        assert judges[level].run(Job(cells=[honest[name]])).outcomes == ["passed"]


@pytest.mark.parametrize("level", [in_group(level) for level in FILTERED])
def test_under_a_containers_filter_the_other_layers_hold(judges, level):
    judge = judges[level]
    expected = set(layers.ALL) - {layers.NAMESPACES} - (set() if level.root else {layers.USER})
    assert set(judge.layers) == expected
    assert layers.can_grade_others(judge.layers)
    named = {attack.name: attack for attack in ATTACKS}
    for name in SOME:
        seen = judge.run(job(named[name], "script"))
        assert not has_won(seen), f"{named[name].tries}: {seen.text}"
        assert (seen.failed, seen.left) == ("", 0)


@pytest.mark.parametrize("level", [in_group(level) for level in LEVELS])
def test_a_level_is_what_it_is_called(judges, level):
    active = judges[level].layers
    unexpected = {layers.USER} if not level.root or level.closed else set()
    assert set(active) == set(level.layers) - unexpected
