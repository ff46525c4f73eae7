"""What the class page shows, as plain values: a class in the words of one language."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grader.messages import message, plural
from grader.model import Assignment, Outcome
from grader.reports.changes import cause, losses_first
from grader.reports.clean import clean_line
from grader.reports.html.student_lines import FAILED_MARK, MARKS, StudentLine, href
from grader.reports.tally import MOST_NAMES, CheckTally, ClassTally, Named
from grader.reports.wording import (
    code_text,
    outcome_words,
    shown_number,
    shown_percent,
    shown_points,
)

_MOST_CLUSTERS = 20
_BINS = 10
_MOST_CHANGED = 200

_REVIEW_FILE = "review.csv"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts of a run.

    Attributes:
        seconds: time on the clock.
        workers: how many graded; 0 where pages were drawn only.
        cached: results taken again.
        handed_in: submissions handed in.
        interrupted: whether it has not got to its end, so that submissions are missing.
    """

    seconds: float
    workers: int
    cached: int
    handed_in: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person: how many submissions, the first as (name, link)."""

    count: int
    title: str
    names: tuple[tuple[str, str], ...]
    more: int


@dataclass(frozen=True, slots=True)
class NeedGroup:
    """Needs of one kind; `about` names the file that lists them all and says how to use it."""

    title: str
    needs: tuple[Need, ...]
    about: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Bin:
    """A column of the histogram; `share` of the highest, `edge` the points where it begins."""

    label: str
    edge: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class CheckLine:
    """A check over all submissions; `percent` and `correlation` sort, -1 and -2 where none."""

    title: str
    points: str
    solved: str
    percent: int
    discrimination: str
    correlation: float
    not_tried: int
    waiting: int
    seconds: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """A wrong answer that several submissions share."""

    count: int
    title: str
    text: str
    name: str
    href: str


@dataclass(frozen=True, slots=True)
class ClassView:
    """The class page; `students` can be gone through once."""

    title: str
    median: str
    interrupted: bool
    facts: tuple[str, ...]
    needs: tuple[NeedGroup, ...]
    changes: str
    changed: tuple[tuple[str, str, str], ...]
    bins: tuple[Bin, ...]
    last_edge: str
    checks: tuple[CheckLine, ...]
    clusters: tuple[Cluster, ...]
    count: int
    students: Iterable[StudentLine]
    order: str
    legend: tuple[tuple[str, str, str], ...]
    run: str


def view_class(
    tally: ClassTally,
    students: Iterable[StudentLine],
    assignment: Assignment,
    language: str,
    *,
    facts: RunFacts,
) -> ClassView:
    """Return what the class page shows; names of submissions are cleaned."""
    return _Drawing(tally, students, assignment, language, facts).view()


class _Drawing:
    def __init__(
        self,
        tally: ClassTally,
        students: Iterable[StudentLine],
        assignment: Assignment,
        language: str,
        facts: RunFacts,
    ) -> None:
        self._tally = tally
        self._students = students
        self._assignment = assignment
        self._language = language
        self._facts = facts
        self._titles = {
            f"{task.id}.{check.id}": f"{task.title[language]}: {check.title[language]}"
            for task in assignment.tasks
            for check in task.checks
        }
        self._outcomes = outcome_words(language)

    def word(self, code: str, **values: str) -> str:
        return message(code, values, language=self._language)

    def number(self, code: str, number: int) -> str:
        return plural(code, number, language=self._language)

    def points(self, hundredths: float) -> str:
        return shown_points(round(hundredths), self._language)

    def view(self) -> ClassView:
        scores = sorted(self._tally.points)
        checks = tuple(self._checks())
        tasks = [task.title[self._language] for task in self._assignment.tasks]
        return ClassView(
            title=self._assignment.title[self._language],
            median=self.word(
                "page.median",
                median=self.points(statistics.median(scores) if scores else 0),
                possible=self.points(self._assignment.possible),
            ),
            interrupted=self._facts.interrupted,
            facts=tuple(self._summary(scores)),
            needs=tuple(group for group in self._needs(checks) if group.needs),
            changes=self._changes(),
            changed=tuple(
                (
                    clean_line(one.submission, most=80),
                    href(one.submission),
                    cause(one, self._assignment, language=self._language),
                )
                for one in losses_first(self._tally.changes)[:_MOST_CHANGED]
            ),
            bins=self._bins(),
            last_edge=self._edges()[-1],
            checks=checks,
            clusters=tuple(self._clusters()),
            count=len(scores),
            students=self._students,
            order=self.word("page.order", tasks=", ".join(tasks)),
            legend=self._legend(),
            run=self.word(
                "page.run-facts",
                seconds=shown_number(self._facts.seconds, 1, self._language),
                workers=str(self._facts.workers),
                cached=str(self._facts.cached),
            )
            if self._facts.workers
            else "",
        )

    def _summary(self, scores: Sequence[int]) -> Iterable[str]:
        yield self.number("page.graded", len(scores))
        if self._facts.handed_in != len(scores):
            yield self.word("page.handed-in", count=str(self._facts.handed_in))
        if len(scores) > 1:
            low, _, high = statistics.quantiles(scores, n=4, method="inclusive")
            yield self.word("page.quartiles", low=self.points(low), high=self.points(high))
        if self._tally.empty:
            yield self.number("page.empty", self._tally.empty)

    # -------------------------------------------------------------- what waits for a person

    def _needs(self, checks: Sequence[CheckLine]) -> Iterable[NeedGroup]:
        negative = [check for check in checks if -1 <= check.correlation < 0]
        poor = tuple(Need(0, f"{c.title} ({c.discrimination})", (), 0) for c in negative)
        filled = (_REVIEW_FILE, self.word("page.need-review-how"))
        yield NeedGroup(self.word("page.need-grader"), self._waiting(self._tally.failed))
        yield NeedGroup(self.word("page.need-odd"), self._oddities())
        yield NeedGroup(self.word("page.need-stopped"), self._stopped())
        yield NeedGroup(self.word("page.need-review"), self._waiting(self._tally.waiting), filled)
        yield NeedGroup(self.word("page.need-checks"), poor)

    def _stopped(self) -> tuple[Need, ...]:
        """Return the submissions that did not run to their end, by what happened."""
        unreadable = self._tally.unreadable
        groups = [
            (
                self.word("page.need-unreadable"),
                Named(len(unreadable), unreadable[:MOST_NAMES]),
            ),
            (self.word("page.need-empty"), self._tally.nothing_run),
        ]
        groups += [
            (self._outcomes[outcome].capitalize(), ended)
            for outcome, ended in self._tally.ends.items()
        ]
        return tuple(self._need(title, found, "") for title, found in groups if found.count)

    def _waiting(self, found: Mapping[str, Named]) -> tuple[Need, ...]:
        """Return the checks that wait, with the submissions in which they do."""
        return tuple(
            self._need(title, found[name], name)
            for name, title in self._titles.items()
            if found[name].count
        )

    def _oddities(self) -> tuple[Need, ...]:
        """Return what is for the instructor only, a line each."""
        return tuple(
            Need(1, self._odd(code, values), ((clean_line(name, most=60), href(name)),), 0)
            for name, code, values in self._tally.oddities
        )

    def _odd(self, code: str, values: Mapping[str, str]) -> str:
        return clean_line(self.word(code, **values), most=300)

    def _need(self, title: str, found: Named, anchor: str) -> Need:
        names = tuple((clean_line(name, most=60), href(name, anchor)) for name in found.first)
        return Need(found.count, title, names, found.count - len(names))

    # -------------------------------------------------------------- scores and checks

    def _bins(self) -> tuple[Bin, ...]:
        possible = max(1, self._assignment.possible)
        counts = Counter(min(_BINS - 1, _BINS * one // possible) for one in self._tally.points)
        edges = self._edges()
        top = max([1, *counts.values()])
        return tuple(
            Bin(f"{edges[n]}–{edges[n + 1]}", edges[n], counts[n], counts[n] / top)
            for n in range(_BINS)
        )

    def _edges(self) -> list[str]:
        possible = max(1, self._assignment.possible)
        return [self.points(possible * number / _BINS) for number in range(_BINS + 1)]

    def _checks(self) -> Iterable[CheckLine]:
        for task in self._assignment.tasks:
            times = sorted(self._tally.task_seconds[task.id])
            slow = times[min(len(times) - 1, int(0.95 * len(times)))] if times else 0.0
            for check in task.checks:
                name = f"{task.id}.{check.id}"
                yield self._check(name, check.possible, self._tally.checks[name], slow)

    def _check(self, name: str, possible: int, one: CheckTally, slow: float) -> CheckLine:
        correlation = one.discrimination()
        return CheckLine(
            title=self._titles[name],
            points=self.points(possible) if possible else "—",
            solved=f"{one.solved}/{one.judged}" if one.judged else "—",
            percent=shown_percent(one.solved, one.judged) if one.judged else -1,
            discrimination="—"
            if correlation is None
            else shown_number(correlation, 2, self._language).replace("-", "−"),
            correlation=-2.0 if correlation is None else round(correlation, 2),
            not_tried=one.not_tried,
            waiting=one.undecided,
            seconds=shown_number(slow, 2, self._language),
        )

    def _clusters(self) -> Iterable[Cluster]:
        shared = [item for item in self._tally.wrong.items() if item[1][0] > 1]
        for (name, code, values), (count, first) in sorted(shared, key=lambda item: -item[1][0])[
            :_MOST_CLUSTERS
        ]:
            if name in self._titles:
                yield Cluster(
                    count=count,
                    title=self._titles[name],
                    text=code_text(code, dict(values), self._language).replace("….", "…"),
                    name=clean_line(first, most=60),
                    href=href(first, name),
                )

    # -------------------------------------------------------------- the list of students

    def _changes(self) -> str:
        tally = self._tally
        counts: Mapping[str, int] = {
            "page.changed-new": tally.new,
            "page.changed-up": tally.went_up,
            "page.changed-down": tally.went_down,
        }
        return ", ".join(self.number(code, count) for code, count in counts.items() if count)

    def _legend(self) -> tuple[tuple[str, str, str], ...]:
        shown = [*MARKS.items(), (Outcome.FAILED, FAILED_MARK)]
        return tuple((outcome.value, mark, self._outcomes[outcome]) for outcome, mark in shown)
