"""The pages in real Chromium: nothing hidden, nothing sideways, nothing fetched, no barrier."""

import dataclasses
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe

from grader.reports.html import RunFacts, render_class
from grader.reports.summary import summarize
from tests.reports.conftest import LANGUAGES

SHOWN = ("and-or-swapped", "perfect", "four-neurons", "another-expression", "small-tensors")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
MODES = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active"},
    "narrow": {"viewport": {"width": 320, "height": 640}},
}


@contextmanager
def opened(browser, path=None, **how):
    """Open a page; afterwards, nothing may have been said on the console or asked for."""
    context = browser.new_context(**how)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda line: said.append(line.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    try:
        if path is not None:
            page.goto(path.as_uri())
        yield page
        assert not said
        kept = {path.as_uri()} if path is not None else set()
        assert not [url for url in asked if url not in kept and not url.startswith("data:")]
    finally:
        context.close()


def open_all(page):
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")


def sideways(page):
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_have_no_violation_of_wcag_2_2_a_or_aa(browser, pages, language, mode):
    chosen = SHOWN if (mode, language) == ("light", "ru") else SHOWN[:1]
    paths = [pages / language / name / "report.html" for name in chosen]
    for path in [*paths, pages / language / "index.html"]:
        with opened(browser, path, **MODES[mode]) as page:
            open_all(page)
            found = Axe().run(page, options=RULES).response["violations"]
            told = [(v["id"], v["nodes"][0]["html"][:200], v["nodes"][0].get("failureSummary")) for v in found]
            assert not told, (path, told)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_or_figure_scrolls_sideways_on_a_phone_and_every_check_has_a_visible_title(
    browser, pages, language
):
    paths = [pages / language / name / "report.html" for name in SHOWN]
    if language == "ru":  # whose words are longer: the pages of all samples
        paths = sorted((pages / language).rglob("report.html"))
    for path in [*paths, pages / language / "index.html"]:
        with opened(browser, path, **MODES["narrow"]) as page:
            assert sideways(page) == 0, path
            open_all(page)
            assert sideways(page) == 0, path
            within = page.evaluate(
                "[...document.querySelectorAll('main .scroll:not(:has(table[data-sortable]))')]"
                ".filter((part) => part.scrollWidth > part.clientWidth).map((p) => p.ariaLabel)"
            )
            assert not within, path
            hidden = page.evaluate(
                "[...document.querySelectorAll('h1, h2, h3')].filter((title) =>"
                " !title.checkVisibility() || title.getBoundingClientRect().width < 20"
                " || !title.textContent.trim()).map((title) => title.outerHTML)"
            )
            assert not hidden, path


def test_closed_parts_are_open_on_paper(browser, pages):
    with opened(browser, pages / "en" / "and-or-swapped" / "report.html") as page:
        shown = "[...document.querySelectorAll('h3')].filter((one) => one.checkVisibility()).length"
        on_screen = page.evaluate(shown)
        page.emulate_media(media="print")
        on_paper = page.evaluate(shown)
        assert on_screen < on_paper == page.locator("h3").count()
        assert page.evaluate("document.querySelector('.hint p').getBoundingClientRect().height > 9")
        assert page.pdf().startswith(b"%PDF")


def test_the_class_page_sorts_and_filters_by_keyboard(browser, pages):
    with opened(browser, pages / "en" / "index.html") as page:
        button = page.locator("#students th:nth-child(2) button")
        button.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        assert page.locator("#students th:nth-child(2)").get_attribute("aria-sort") == "descending"
        values = page.evaluate(
            "[...document.querySelectorAll('#students td:nth-child(2)')].map((c) => +c.dataset.v)"
        )
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1]
        page.locator("#filter").focus()
        page.keyboard.type("neurons")
        visible = page.locator("#students tbody tr:visible th").all_text_contents()
        assert visible
        assert all("neurons" in name for name in visible)


def test_a_class_of_two_thousand_opens_and_sorts_without_delay(
    browser, reports, assignment, tmp_path
):
    rows = [summarize(report) for report in reports.values()]
    many = [
        dataclasses.replace(rows[n % len(rows)], submission=f"student-{n:04}") for n in range(2000)
    ]
    facts = RunFacts(seconds=60.0, workers=2, cached=0, handed_in=2000)
    path = tmp_path / "index.html"
    path.write_text(render_class(many, assignment, language="ru", facts=facts), "utf-8")
    assert path.stat().st_size < 3_000_000
    with opened(browser, path) as page:
        spent = [
            page.evaluate(
                "() => { const began = performance.now();"
                " document.querySelector('#students th:nth-child(2) button').click();"
                " document.body.getBoundingClientRect(); return performance.now() - began; }"
            )
            for _ in range(3)
        ]
        assert min(spent) < 5000  # milliseconds, on a machine that does much else
