"""The pages in real Chromium: nothing hidden, nothing sideways, nothing fetched, no barrier."""

import dataclasses
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe

from grader.reports.html import RunFacts
from grader.reports.summary import summarize
from tests.reports.classes import draw_class
from tests.reports.conftest import LANGUAGES

SHOWN = ("and-or-swapped", "perfect", "four-neurons", "another-expression", "small-tensors")
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
}
MODES = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active"},
    "narrow": {"viewport": {"width": 320, "height": 640}},
}


@contextmanager
def opened(browser, *paths, **how):
    """Open the first of these pages; afterwards, no console message or request but for them."""
    context = browser.new_context(**how)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda line: said.append(line.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(paths[0].as_uri())
        yield page
        assert not said
        kept = {path.as_uri() for path in paths}
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
def test_pages_have_no_violation_of_wcag_2_2_a_or_aa(browser, pages, reports, language, mode):
    # The page of each sample in one of the ways, since all in each would take minutes.
    turn = list(MODES).index(mode) + len(MODES) * LANGUAGES.index(language)
    chosen = sorted({SHOWN[0], *sorted(reports)[turn :: len(MODES) * len(LANGUAGES)]})
    paths = [pages / language / name / "report.html" for name in chosen]
    paths.append(pages / language / "index.html")
    with opened(browser, *paths, **MODES[mode]) as page:
        for path in paths:
            page.goto(path.as_uri())
            open_all(page)
            found = Axe().run(page, options=RULES).response["violations"]
            nodes = [(v["id"], node) for v in found for node in v["nodes"][:1]]
            told = [(rule, n["html"][:200], n.get("failureSummary")) for rule, n in nodes]
            assert not told, path


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_or_figure_scrolls_sideways_on_a_phone_and_every_check_has_a_visible_title(
    browser, pages, language
):
    paths = [pages / language / name / "report.html" for name in SHOWN]
    if language == "ru":  # whose words are longer: the pages of all samples
        paths = sorted((pages / language).rglob("report.html"))
    paths.append(pages / language / "index.html")
    with opened(browser, *paths, **MODES["narrow"]) as page:
        for path in paths:
            page.goto(path.as_uri())
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


@pytest.mark.parametrize(
    ("anchor", "seen"),
    [("xor", "details:has(#xor) > summary"), ("xor.truth-table", "[id='xor.truth-table'] h3")],
)
def test_a_link_to_a_task_or_a_check_opens_the_part_that_holds_it(browser, pages, anchor, seen):
    path = pages / "en" / "and-or-swapped" / "report.html"
    with opened(browser, path) as page:
        page.emulate_media(reduced_motion="reduce")  # else the page is still on its way there
        part = page.locator("details:has(#xor)")
        assert part.get_attribute("open") is None
        if anchor == "xor":
            page.locator("a[href='#xor']").click()
        else:
            page.evaluate(f"location.hash = '#{anchor}'")
        assert page.locator("details[open]:has(#xor)").count() == 1
        page.wait_for_function("scrollY > 0")
        box = page.locator(seen).bounding_box()
        assert 0 <= box["y"] <= page.viewport_size["height"] - box["height"]


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
    path.write_text(draw_class(many, assignment, language="ru", facts=facts), "utf-8")
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
