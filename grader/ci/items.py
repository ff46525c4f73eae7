"""The checks of one submission as pytest's items.

The submission is graded once, when the first item runs. With xdist the controlling process grades
it before the workers start, and they show what it found.
"""

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from grader.assignments import AssignmentError, load_assignment
from grader.ci import github
from grader.ci.places import Place, find_places
from grader.ci.words import cell_of, check_title, check_words
from grader.devices import DeviceError, full_name, require_known
from grader.intake import Refused, read_submission
from grader.judge import Judge
from grader.messages import message
from grader.model import Check, CheckResult, Outcome, Report, Task, TaskResult
from grader.reports.clean import clean, clean_line
from grader.reports.wording import shown_points
from grader.sandbox.protocol import REAL
from grader.sandbox.session import Server, ServerFailed


class Graded:
    """A submission and, once asked for, its report.

    Attributes:
        path: where the submission lies, absolute.
        assignment: what it is graded by.
        language: of all words.
        found: the report, None before the first item ran.
        failure: why the grader failed as a whole; empty if it did not.

    Raises:
        pytest.UsageError: it cannot be read, or there is no such assignment, card or profile.
    """

    def __init__(
        self, path: Path, *, assignment: str, card: str, profile: str, language: str
    ) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100  # a link stays a link, and refused
        self.language = language
        self.failure = ""
        self._card, self._profile = full_name(card), profile
        self.found: Report | None = None
        if not self.path.exists():
            raise _wrong_use("ci.not-there", {"path": str(path)}, language)
        try:
            self.assignment = load_assignment(assignment)
            require_known(self._card, profile)
            self._submission = read_submission(self.path)
        except (AssignmentError, DeviceError, Refused) as error:
            raise _wrong_use(error.code, error.values, language) from error
        self.places = find_places(self.path, self._submission)

    def report(self) -> Report | None:
        """Return the report; None if the grader failed, and `failure` says why."""
        if self.found is None and not self.failure:
            try:
                # As `grader check`, on one's own machine.
                with Server(unsafe=True, real=self._card == REAL) as server:
                    judge = Judge(self.assignment, server, card=self._card, profile=self._profile)
                    self.found = judge.grade(self._submission)
            except (DeviceError, ServerFailed) as error:
                self.failure = message(error.code, error.values, language=self.language)
        return self.found

    def as_data(self) -> str:
        """Return the report or the failure for another process, as JSON."""
        return msgspec.json.encode((self.report(), self.failure)).decode()

    def take(self, data: str) -> None:
        """Take what another process found, from `as_data`."""
        self.found, self.failure = msgspec.json.decode(data, type=tuple[Report | None, str])

    def place(self, task: str) -> Place:
        """Return the line that belongs to a task, as far as that is known already."""
        result = self.result(task)
        cell = cell_of(result) if result else None
        return self.places.get(cell or 0, Place(self.path, 1))

    def result(self, task: str) -> TaskResult | None:
        """Return a task's result if the submission has been graded."""
        tasks = self.found.tasks if self.found else []
        return next((one for one in tasks if one.id == task), None)


def _wrong_use(code: str, values: Mapping[str, str], language: str) -> pytest.UsageError:
    shown = {key: clean_line(value, most=2000) for key, value in values.items()}
    return pytest.UsageError(github.disarmed(clean(message(code, shown, language=language))))


class CheckItem(pytest.Item):
    """One check. What earns nothing fails, what waits for a person or for another is skipped."""

    def __init__(self, *, graded: Graded, task: Task, check: Check, **rest: Any) -> None:  # noqa: ANN401  # pytest's own
        super().__init__(**rest)
        self._graded = graded
        self._task = task
        self._check = check

    def setup(self) -> None:
        """Grade if nobody has; a failure of the grader's own is an error, not a failed check."""
        report = self._graded.report()
        if report is None:
            self._end_as_ours(self._graded.failure)
        found = self._found()
        self.user_properties += [
            ("points", shown_points(found.points, "en")),
            ("possible", shown_points(found.possible, "en")),
            ("outcome", found.outcome.value),
            ("code", found.code),
        ]
        if found.outcome is Outcome.GRADER_ERROR:
            self._end_as_ours(check_words(found, language=self._graded.language))

    def runtest(self) -> None:
        """Say how the check ended."""
        found = self._found()
        language = self._graded.language
        if found.outcome is Outcome.PASSED:
            return
        words = {"text": check_words(found, language=language)}
        if found.outcome is Outcome.REVIEW:
            pytest.skip(message("ci.waits", words, language=language))
        if found.outcome is Outcome.NOT_RUN:
            pytest.skip(message("ci.not-asked", words, language=language))
        if found.possible == 0:
            pytest.skip(message("ci.advice", words, language=language))
        pytest.fail(words["text"], pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the task stands, and what the check asks."""
        place = self._graded.place(self._task.id)
        title = self._task.title[self._graded.language]
        asks = check_title(
            self._graded.assignment,
            self._task.id,
            self._check.id,
            language=self._graded.language,
        )
        return place.path, place.line - 1, f"{title}. {asks}"

    def _found(self) -> CheckResult:
        result = self._graded.result(self._task.id)
        assert result is not None  # graded in `setup`
        return next(one for one in result.checks if one.id == self._check.id)

    def _end_as_ours(self, text: str) -> None:
        language = self._graded.language
        pytest.fail(clean(message("ci.ours", {"text": text}, language=language)), pytrace=False)


class TaskNode(pytest.Collector):
    """A task: its checks are its items."""

    def __init__(self, *, graded: Graded, task: Task, **rest: Any) -> None:  # noqa: ANN401  # pytest's own
        super().__init__(**rest)
        self._graded = graded
        self._task = task

    def collect(self) -> Iterator[CheckItem]:
        """Yield an item a check."""
        for check in self._task.checks:
            yield CheckItem.from_parent(
                self, name=check.id, graded=self._graded, task=self._task, check=check
            )


def _task_nodes(parent: pytest.Collector, graded: Graded) -> Iterator[TaskNode]:
    for task in graded.assignment.tasks:
        yield TaskNode.from_parent(parent, name=task.id, graded=graded, task=task)


class SubmissionFile(pytest.File):
    """A submission that is one file; pytest neither imports nor reads it."""

    def __init__(self, *, graded: Graded, **rest: Any) -> None:  # noqa: ANN401  # pytest's own
        super().__init__(**rest)
        self._graded = graded

    def collect(self) -> Iterator[TaskNode]:
        """Yield a node a task."""
        return _task_nodes(self, self._graded)


class SubmissionFolder(pytest.Directory):
    """A submission that is a folder; no file in it is collected by anyone else."""

    def __init__(self, *, graded: Graded, **rest: Any) -> None:  # noqa: ANN401  # pytest's own
        super().__init__(**rest)
        self._graded = graded

    def collect(self) -> Iterator[TaskNode]:
        """Yield a node a task."""
        return _task_nodes(self, self._graded)


class SubmissionPlugin:
    """The hooks of a session that grades a submission."""

    def __init__(self, config: pytest.Config, graded: Graded) -> None:
        self._graded = graded
        self._fence = ExitStack()
        self._is_worker = hasattr(config, "workerinput")
        if self._is_worker:
            graded.take(config.workerinput["grader"])  # type: ignore[attr-defined]  # xdist sets it
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            config.args = [str(graded.path)]
        elif not any(self._is_submission(Path(arg.partition("::")[0])) for arg in config.args):
            config.args.append(str(graded.path))

    def _is_submission(self, path: Path) -> bool:
        return os.path.abspath(path) == str(self._graded.path)  # noqa: PTH100  # as in Graded

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401  # xdist's
        """Give an xdist worker what was found."""
        node.workerinput["grader"] = self._graded.as_data()

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        """Collect the submission, and keep others, who would import it, from doing so."""
        found = yield
        if self._is_submission(file_path):
            node = SubmissionFile.from_parent(parent, path=file_path, graded=self._graded)
            return [node]
        return found

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(
        self, path: Path, parent: pytest.Collector
    ) -> pytest.Collector | None:
        """Collect the submission; the folders around it are no packages to be imported."""
        if self._is_submission(path):
            return SubmissionFolder.from_parent(parent, path=path, graded=self._graded)
        if self._graded.path.is_relative_to(path):
            return pytest.Dir.from_parent(parent, path=path)
        return None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let a skipped check point at the submission in place of this module."""
        report = yield
        if isinstance(item, CheckItem) and isinstance(report.longrepr, tuple):
            path, line, _ = item.reportinfo()
            report.longrepr = (str(path), line + 1, report.longrepr[2].removeprefix("Skipped: "))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Keep GitHub's runner from obeying what a student's text may hold."""
        if github.is_here() and not self._is_worker:
            self._fence.enter_context(github.fenced(session.config.get_terminal_writer()))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401  # pytest's
        """Print the score, if anything was graded."""
        report = self._graded.found
        if report is None:
            return
        language = self._graded.language
        score = {
            "points": shown_points(report.points, language),
            "possible": shown_points(report.possible, language),
        }
        line = message("cli.score", score, language=language)
        if report.to_review:
            waiting = {"points": shown_points(report.to_review, language)}
            line += ", " + message("cli.to-review", waiting, language=language)
        terminalreporter.write_sep("=", line)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Let the runner obey again."""
        self._fence.close()
