"""What the class page shows, as plain values: the rows of a run in the words of one language."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import quote

from grader.messages import message, plural
from grader.model import Assignment, Outcome
from grader.reports.changes import cause, find_changes
from grader.reports.clean import clean_line
from grader.reports.summary import ClassRow
from grader.reports.wording import STOPPED, code_text, shown_number, shown_percent, shown_points

FEWEST_FOR_DISCRIMINATION = 20
_MOST_NAMES = 12
_MOST_ODDITIES = 50
_MOST_CLUSTERS = 20
_BINS = 10
_MOST_CHANGED = 200

_NOT_TRIED = (None, Outcome.NOT_RUN, Outcome.MISSING)
_UNDECIDED = (Outcome.GRADER_ERROR, Outcome.REVIEW)
_MARKS = {
    Outcome.PASSED: "✓",
    Outcome.PARTIAL: "◐",
    Outcome.REVIEW: "?",
    Outcome.MISSING: "·",
    Outcome.GRADER_ERROR: "!",
}
_FAILED_MARK = "✗"
_PLAIN = (Outcome.PASSED, Outcome.MISSING)
_REVIEW_FILE = "review.csv"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts of a run: time on the clock, workers, results taken again, submissions handed in."""

    seconds: float
    workers: int
    cached: int
    handed_in: int


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
class StudentLine:
    """A submission; `strip` are runs of equal outcomes as (outcome, marks), `said` in words."""

    name: str
    href: str
    points: str
    order: int
    to_review: str
    review_order: int
    change: str
    change_order: int
    strip: tuple[tuple[str, str], ...]
    said: str
    seconds: str


@dataclass(frozen=True, slots=True)
class ClassView:
    """The class page."""

    title: str
    median: str
    facts: tuple[str, ...]
    needs: tuple[NeedGroup, ...]
    changes: str
    changed: tuple[tuple[str, str, str], ...]
    bins: tuple[Bin, ...]
    last_edge: str
    checks: tuple[CheckLine, ...]
    clusters: tuple[Cluster, ...]
    students: tuple[StudentLine, ...]
    order: str
    legend: tuple[tuple[str, str, str], ...]
    run: str


def view_class(
    rows: Sequence[ClassRow],
    assignment: Assignment,
    language: str,
    *,
    previous: Sequence[ClassRow],
    facts: RunFacts,
) -> ClassView:
    """Return what the class page shows; names of submissions are cleaned."""
    return _Drawing(rows, assignment, language, previous, facts).view()


class _Drawing:
    def __init__(
        self,
        rows: Sequence[ClassRow],
        assignment: Assignment,
        language: str,
        previous: Sequence[ClassRow],
        facts: RunFacts,
    ) -> None:
        self._rows = rows
        self._assignment = assignment
        self._language = language
        self._previous = previous
        self._before = {row.submission: row.points for row in previous}
        self._facts = facts
        self._titles = {
            f"{task.id}.{check.id}": f"{task.title[language]}: {check.title[language]}"
            for task in assignment.tasks
            for check in task.checks
        }
        self._tasks = {task.id: task.title[language] for task in assignment.tasks}
        self._outcomes = {
            outcome: message(f"outcome.{outcome.value}", language=language) for outcome in Outcome
        }

    def word(self, code: str, **values: str) -> str:
        return message(code, values, language=self._language)

    def number(self, code: str, number: int) -> str:
        return plural(code, number, language=self._language)

    def points(self, hundredths: float) -> str:
        return shown_points(round(hundredths), self._language)

    def view(self) -> ClassView:
        scores = sorted(row.points for row in self._rows)
        checks = tuple(self._checks())
        return ClassView(
            title=self._assignment.title[self._language],
            median=self.word(
                "page.median",
                median=self.points(statistics.median(scores) if scores else 0),
                possible=self.points(self._assignment.possible),
            ),
            facts=tuple(self._summary(scores)),
            needs=tuple(group for group in self._needs(checks) if group.needs),
            changes=self._changes(),
            changed=tuple(
                (
                    clean_line(one.submission, most=80),
                    _href(one.submission),
                    cause(one, self._assignment, language=self._language),
                )
                for one in find_changes(self._rows, self._previous)[:_MOST_CHANGED]
            ),
            bins=self._bins(),
            last_edge=self._edges()[-1],
            checks=checks,
            clusters=tuple(self._clusters()),
            students=tuple(map(self._student, self._rows)),
            order=self.word("page.order", tasks=", ".join(self._tasks.values())),
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
        empty = sum(not row.answered for row in self._rows)
        if empty:
            yield self.number("page.empty", empty)

    # -------------------------------------------------------------- what waits for a person

    def _needs(self, checks: Sequence[CheckLine]) -> Iterable[NeedGroup]:
        def failed(row: ClassRow, name: str) -> bool:
            return row.check_outcomes.get(name) is Outcome.GRADER_ERROR

        def waits(row: ClassRow, name: str) -> bool:
            return row.check_outcomes.get(name) is Outcome.REVIEW

        negative = [check for check in checks if -1 <= check.correlation < 0]
        poor = tuple(Need(0, f"{c.title} ({c.discrimination})", (), 0) for c in negative)
        filled = (_REVIEW_FILE, self.word("page.need-review-how"))
        yield NeedGroup(self.word("page.need-grader"), self._waiting(failed))
        yield NeedGroup(self.word("page.need-odd"), self._oddities())
        yield NeedGroup(self.word("page.need-stopped"), self._stopped())
        yield NeedGroup(self.word("page.need-review"), self._waiting(waits), filled)
        yield NeedGroup(self.word("page.need-checks"), poor)

    def _stopped(self) -> tuple[Need, ...]:
        """Return the submissions that did not run to their end, by what happened."""
        empty = [row for row in self._rows if row.stopped and not (row.unreadable or row.ends)]
        groups = [
            (self.word("page.need-unreadable"), [row for row in self._rows if row.unreadable]),
            (self.word("page.need-empty"), empty),
        ]
        groups += [
            (
                self._outcomes[outcome].capitalize(),
                [row for row in self._rows if outcome in row.ends],
            )
            for outcome in STOPPED
        ]
        return tuple(self._need(title, rows, "") for title, rows in groups if rows)

    def _waiting(self, waits: Callable[[ClassRow, str], bool]) -> tuple[Need, ...]:
        """Return the checks that wait, with the submissions in which they do."""
        needs = []
        for name, title in self._titles.items():
            found = [row for row in self._rows if name in row.waiting and waits(row, name)]
            if found:
                needs.append(self._need(title, found, name))
        return tuple(needs)

    def _oddities(self) -> tuple[Need, ...]:
        """Return what is for the instructor only, a line each."""
        return tuple(
            Need(
                1,
                self._odd(code, values),
                ((clean_line(row.submission, most=60), _href(row.submission)),),
                0,
            )
            for row in self._rows
            for code, values in row.anomalies
        )[:_MOST_ODDITIES]

    def _odd(self, code: str, values: Mapping[str, str]) -> str:
        return clean_line(self.word(code, **values), most=300)

    def _need(self, title: str, rows: Sequence[ClassRow], anchor: str) -> Need:
        names = tuple(
            (clean_line(row.submission, most=60), _href(row.submission, anchor))
            for row in rows[:_MOST_NAMES]
        )
        return Need(len(rows), title, names, max(0, len(rows) - _MOST_NAMES))

    # -------------------------------------------------------------- scores and checks

    def _bins(self) -> tuple[Bin, ...]:
        possible = max(1, self._assignment.possible)
        counts = Counter(min(_BINS - 1, _BINS * row.points // possible) for row in self._rows)
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
            times = sorted(row.task_seconds.get(task.id, 0.0) for row in self._rows)
            slow = times[min(len(times) - 1, int(0.95 * len(times)))] if times else 0.0
            for check in task.checks:
                name = f"{task.id}.{check.id}"
                outcomes = [row.check_outcomes.get(name) for row in self._rows]
                decided = [
                    (row, outcome is Outcome.PASSED)
                    for row, outcome in zip(self._rows, outcomes, strict=True)
                    if outcome not in (*_NOT_TRIED, *_UNDECIDED)
                ]
                solved = [passed for _, passed in decided]
                rest = [row.points - check.possible * passed for row, passed in decided]
                correlation = _discrimination(solved, rest)
                yield CheckLine(
                    title=self._titles[name],
                    points=self.points(check.possible) if check.possible else "—",
                    solved=f"{sum(solved)}/{len(solved)}" if solved else "—",
                    percent=shown_percent(sum(solved), len(solved)) if solved else -1,
                    discrimination="—"
                    if correlation is None
                    else shown_number(correlation, 2, self._language).replace("-", "−"),
                    correlation=-2.0 if correlation is None else round(correlation, 2),
                    not_tried=sum(outcome in _NOT_TRIED for outcome in outcomes),
                    waiting=sum(outcome in _UNDECIDED for outcome in outcomes),
                    seconds=shown_number(slow, 2, self._language),
                )

    def _clusters(self) -> Iterable[Cluster]:
        groups: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[str]] = {}
        for row in self._rows:
            for name, code in row.codes.items():
                key = (name, code, tuple(sorted(row.values.get(name, {}).items())))
                groups.setdefault(key, []).append(row.submission)
        common = sorted(groups.items(), key=lambda item: -len(item[1]))[:_MOST_CLUSTERS]
        for (name, code, values), names in common:
            if name in self._titles and len(names) > 1:
                yield Cluster(
                    count=len(names),
                    title=self._titles[name],
                    text=code_text(code, dict(values), self._language).replace("….", "…"),
                    name=clean_line(names[0], most=60),
                    href=_href(names[0], name),
                )

    # -------------------------------------------------------------- students

    def _student(self, row: ClassRow) -> StudentLine:
        outcomes = [
            row.outcomes[task.id] for task in self._assignment.tasks if task.id in row.outcomes
        ]
        change, order = self._change(row)
        return StudentLine(
            name=clean_line(row.submission, most=80),
            href=_href(row.submission),
            points=self.points(row.points),
            order=row.points,
            to_review=self.points(row.to_review) if row.to_review else "",
            review_order=row.to_review,
            change=change,
            change_order=order,
            strip=tuple(
                (outcome.value, _MARKS.get(outcome, _FAILED_MARK) * len(list(run)))
                for outcome, run in groupby(outcomes)
            ),
            said=self._said(row),
            seconds=shown_number(row.seconds, 2, self._language),
        )

    def _said(self, row: ClassRow) -> str:
        """Return the marks of a submission in words: which tasks, or how many of the plain ones."""
        named: dict[Outcome, list[str]] = {}
        for task, outcome in row.outcomes.items():
            named.setdefault(outcome, []).append(self._tasks.get(task, task))
        return "; ".join(
            f"{self._outcomes[outcome]}: "
            + (str(len(tasks)) if outcome in _PLAIN else ", ".join(tasks))
            for outcome, tasks in named.items()
        )

    def _change(self, row: ClassRow) -> tuple[str, int]:
        """Return how the points changed since the previous run, in words and as a number."""
        if not self._before:
            return "", 0
        if row.submission not in self._before:
            return self.word("page.new"), 0
        more = row.points - self._before[row.submission]
        if not more:
            return "", 0
        return ("+" if more > 0 else "−") + self.points(abs(more)), more

    def _changes(self) -> str:
        if not self._before:
            return ""
        new = sum(row.submission not in self._before for row in self._rows)
        moved = [self._change(row)[1] for row in self._rows]
        counts: Mapping[str, int] = {
            "page.changed-new": new,
            "page.changed-up": sum(more > 0 for more in moved),
            "page.changed-down": sum(more < 0 for more in moved),
        }
        return ", ".join(self.number(code, count) for code, count in counts.items() if count)

    def _legend(self) -> tuple[tuple[str, str, str], ...]:
        shown = [*_MARKS.items(), (Outcome.FAILED, _FAILED_MARK)]
        return tuple((outcome.value, mark, self._outcomes[outcome]) for outcome, mark in shown)


def _href(name: str, anchor: str = "") -> str:
    return f"{quote(name)}/report.html" + (f"#{quote(anchor)}" if anchor else "")


def _discrimination(solved: Sequence[bool], rest: Sequence[float]) -> float | None:
    """Return the correlation of a check with the rest of the score; None for too few."""
    varied = len(set(solved)) == 2 and len(set(rest)) > 1
    if len(solved) < FEWEST_FOR_DISCRIMINATION or not varied:
        return None
    return statistics.correlation([float(one) for one in solved], rest)
