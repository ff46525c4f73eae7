"""Where a run's results are looked up, drawn and handed on, whoever grades the submissions."""

from pathlib import Path

import msgspec

from grader.batch.grading import Settings, settings_digest
from grader.batch.pages import Drawn, SubmissionPages, is_written, write_submission
from grader.gradebook import Gradebook, result_key
from grader.intake.names import path_text
from grader.model import Assignment, Report


class Unwritten(msgspec.Struct, frozen=True, kw_only=True):
    """Why files could not be written, as the parts of an `OSError`."""

    number: int
    reason: str
    path: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A submission that has its result.

    Attributes:
        key: of the result.
        report: the report; None where it was taken from the gradebook.
        known: the report's id in the gradebook, where it was taken from there.
        drawn: from what its files were drawn; empty where they could not be written.
        failure: why its page could not be drawn, which is ours; empty where it was.
        unwritten: why its files could not be written.
    """

    name: str
    key: str
    report: Report | None = None
    known: int | None = None
    drawn: str = ""
    failure: str = ""
    unwritten: Unwritten | None = None


class Desk:
    """One run's place: which results it may take again, and where files go.

    Args:
        settings: what decides the results.
        assignment: the assignment.
        gradebook: read for results and for what the files were drawn from.
        run: the run's id.
        out: the output folder.
    """

    def __init__(
        self, settings: Settings, assignment: Assignment, gradebook: Gradebook, run: int, out: Path
    ) -> None:
        self.pages = SubmissionPages(
            assignment,
            language=settings.language,
            reviews=gradebook.reviews(),
            origin_of=gradebook.origin,
        )
        self._gradebook = gradebook
        self._run = run
        self._out = out
        self._decided = settings_digest(settings, assignment)

    def key(self, *parts: str) -> str:
        """Return the key of a result that these parts and the settings decide."""
        return result_key((self._decided, *parts))

    def find(self, name: str, key: str) -> Done | None:
        """Return the result that the gradebook has for this key, its files written, or None."""
        found = self._gradebook.find_report(key, run=self._run)
        if found is None:
            return None
        known, report = found
        done = self.finish(msgspec.structs.replace(report, submission=name), key)
        return msgspec.structs.replace(done, known=known, report=None)

    def finish(self, report: Report, key: str, drawn: Drawn | None = None) -> Done:
        """Write a submission's files and return its result.

        Args:
            report: the report.
            key: of the result.
            drawn: its files, where they are drawn already.
        """
        name, drawn_from = report.submission, self.pages.drawn_from(report)
        done = Done(name=name, key=key, report=report, drawn=drawn_from)
        if self._gradebook.is_drawn(name, drawn_from) and is_written(self._out, name):
            return done
        drawn = drawn or self.pages.draw(report)
        try:
            write_submission(self._out, name, drawn)
        except OSError as error:
            unwritten = Unwritten(
                number=error.errno or 0,
                reason=error.strerror or str(error),
                path=path_text(error.filename or self._out / name),
            )
            return msgspec.structs.replace(done, drawn="", unwritten=unwritten)
        return msgspec.structs.replace(done, failure=drawn.failure)
