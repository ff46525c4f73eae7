"""A student, a teacher and CI see the same points, outcomes and codes on every sample."""

import json

import pytest
from click.testing import CliRunner

from grader.cli.main import main
from grader.judge import Judge
from tests.test_samples import SAMPLES, SUBMISSIONS


class Reports:
    """Keeps the reports of a nested run of pytest."""

    def __init__(self):
        self.checks = {}

    def pytest_runtest_makereport(self, item, call):
        if call.when == "call":
            found = dict(item.user_properties)
            name = ".".join(item.nodeid.split("::")[-2:])
            self.checks[name] = (float(found["points"]), found["outcome"], found["code"])


def by_pytest(path, folder):
    reports = Reports()
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        "-c",
        str(folder / "pytest.ini"),
    ]
    code = pytest.main([*options, "--submission", str(path)], plugins=[reports])
    return reports.checks, code


@pytest.fixture
def judged_once(monkeypatch):
    """Judge each submission once for all that ask the same: half of the time of the test."""
    known = {}
    judge = Judge.grade

    def grade(self, submission):
        asked = (self._card, self._profile, len(self._tasks), repr(self._assignment.keys))
        key = (submission.digest, repr(self._assignment.limits), asked)
        if key not in known:
            known[key] = judge(self, submission)
        return known[key]

    monkeypatch.setattr(Judge, "grade", grade)
    return known


def checks_of(result):
    return {
        f"{task['id']}.{check['id']}": (check["points"], check["outcome"], check["code"])
        for task in result["tasks"]
        for check in task["checks"]
    }


def test_check_and_grade_and_pytest_agree_on_every_sample(tmp_path, shared_server, judged_once):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    out = tmp_path / "out"
    arguments = ["grade", str(SUBMISSIONS), "--out", str(out), "--workers", "2"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    for sample in SAMPLES:
        graded = json.loads((out / sample.name / "result.json").read_bytes())
        checked = CliRunner().invoke(main, ["check", str(sample), "--json"])
        tested, code = by_pytest(sample, tmp_path)
        assert checks_of(json.loads(checked.stdout)) == checks_of(graded), sample.name
        assert tested == checks_of(graded), sample.name
        assert code == checked.exit_code, sample.name
    assert len(judged_once) <= len(SAMPLES)
