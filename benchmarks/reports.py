"""Time and size of pages: ``python benchmarks/reports.py``.

Grades a few samples, draws each one's page, and a class page of 300 and of 2,000 submissions made
of their rows. The first page of a process, which loads templates and Pygments, is told apart.
Times are processor time, so that what else the machine does counts little.
"""

import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

from grader.assignments import load_assignment
from grader.intake import read_submission
from grader.judge import Judge
from grader.reports.html import ClassPage, RunFacts, render_report
from grader.reports.summary import summarize
from grader.sandbox.session import Server

SUBMISSIONS = Path(__file__).parent.parent / "submissions"
SAMPLES = ("perfect", "and-or-swapped", "four-neurons", "another-expression", "small-tensors")
ROUNDS = 20


def main() -> None:
    """Print a line for each kind of page."""
    assignment = load_assignment("intro-to-torch")
    with Server() as server:
        judge = Judge(assignment, server)
        reports = [judge.grade(read_submission(SUBMISSIONS / name)) for name in SAMPLES]
    began = time.process_time()
    render_report(reports[0], assignment, language="en")
    print(f"first student page of a process: {1000 * (time.process_time() - began):.0f} ms")
    for report in reports:
        spent = []
        page = ""
        for _ in range(ROUNDS):
            began = time.process_time()
            page = render_report(report, assignment, language="ru")
            spent.append(1000 * (time.process_time() - began))
        size = len(page.encode()) / 1000
        spent_ms = statistics.median(spent)
        print(f"{report.submission:20} {spent_ms:6.1f} ms (limit 40) {size:5.1f} KB (limit 60)")
    rows = [summarize(report) for report in reports]
    for count, limit in ((300, "limit 0.3 s"), (2000, "limit 3000 KB")):
        many = [
            dataclasses.replace(rows[n % len(rows)], submission=f"student-{n:04}")
            for n in range(count)
        ]
        facts = RunFacts(seconds=60.0, workers=2, cached=0, handed_in=count)
        began = time.process_time()
        with tempfile.TemporaryFile() as lines:
            drawn = ClassPage(assignment, language="ru", lines=lines, compared=True)
            for row in many:
                drawn.add(row, row)
            page = "".join(drawn.draw(facts))
        seconds = time.process_time() - began
        print(
            f"class page of {count}: {seconds:.2f} s, {len(page.encode()) / 1000:.0f} KB ({limit})"
        )


if __name__ == "__main__":
    main()
