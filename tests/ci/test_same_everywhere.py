"""A student, a teacher and CI see the same points, outcomes and codes on every sample."""

import json

import pytest
from click.testing import CliRunner

from grader.cli.main import main
from grader.judge import Judge
from tests.once import asked_of
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
        "-p",
        "no:unraisableexception",  # which collects the garbage of this whole process, each time
        "-c",
        str(folder / "pytest.ini"),
    ]
    code = pytest.main([*options, "--submission", str(path)], plugins=[reports])
    return reports.checks, code


@pytest.fixture(scope="session")
def batch(once):
    """Return what `grader grade` writes for all samples."""

    def grade(out):
        arguments = ["grade", str(SUBMISSIONS), "--out", str(out), "--workers", "2"]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output

    return once.made("batch", grade)


@pytest.fixture
def asked(monkeypatch, once):
    """Let commands take a report that an equal judge has made; return what they ask for."""
    found, really = set(), Judge.grade

    def grade(judge, submission):
        found.add(asked_of(judge, submission))
        with monkeypatch.context() as patch:
            patch.setattr(Judge, "grade", really)
            return once.report(judge, submission)

    monkeypatch.setattr(Judge, "grade", grade)
    return found


def checks_of(result):
    return {
        f"{task['id']}.{check['id']}": (check["points"], check["outcome"], check["code"])
        for task in result["tasks"]
        for check in task["checks"]
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_check_and_grade_and_pytest_agree(sample, tmp_path, batch, shared_server, asked):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    graded = json.loads((batch / sample.name / "result.json").read_bytes())
    checked = CliRunner().invoke(main, ["check", str(sample), "--json"])
    tested, code = by_pytest(sample, tmp_path)
    assert checks_of(json.loads(checked.stdout)) == checks_of(graded)
    assert tested == checks_of(graded)
    assert code == checked.exit_code
    assert len(asked) == 1, "check and pytest asked for different things"
