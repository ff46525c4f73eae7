"""Reports of the samples, their pages, and a browser to open them in."""

import os
import shutil
from pathlib import Path

import pytest

from grader.assignments import load_assignment
from grader.intake import read_submission
from grader.judge import Judge
from grader.reports.html import RunFacts, render_report
from grader.reports.summary import summarize
from tests.reports.classes import draw_class

SUBMISSIONS = Path(__file__).parents[2] / "submissions"
LANGUAGES = ("en", "ru")
LONG = {
    "keeps-the-old",
    "another-card",
}  # samples that take many seconds, with no figure of their own


@pytest.fixture(scope="session")
def assignment():
    return load_assignment("intro-to-torch")


@pytest.fixture(scope="session")
def reports(assignment, server, once):
    """The reports of all samples but the longest, by name."""
    folders = sorted(path.parent for path in SUBMISSIONS.glob("*/expect.toml"))
    judge = Judge(assignment, server)
    return {
        folder.name: once.report(judge, read_submission(folder))
        for folder in folders
        if folder.name not in LONG
    }


@pytest.fixture(scope="session")
def pages(reports, assignment, tmp_path_factory):
    """The folder of the pages: ``LANG/NAME/report.html`` and ``LANG/index.html``."""
    out = tmp_path_factory.mktemp("pages")
    rows = [summarize(report) for report in reports.values()]
    for language in LANGUAGES:
        for name, report in reports.items():
            folder = out / language / name
            folder.mkdir(parents=True)
            page = render_report(report, assignment, language=language)
            (folder / "report.html").write_text(page, "utf-8")
        facts = RunFacts(seconds=1.5, workers=2, cached=0, handed_in=len(rows))
        page = draw_class(rows, assignment, language=language, previous=rows[3:], facts=facts)
        (out / language / "index.html").write_text(page, "utf-8")
    return out


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, without a connection to anything."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium here, which the tests of the pages need")
        pytest.skip("no Chromium here: install Debian's package `chromium`")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync"]
    quiet += ["--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=quiet)
        yield chromium
        chromium.close()
