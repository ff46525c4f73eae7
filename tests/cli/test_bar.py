"""The bar of a batch keeps its figures on a terminal of any width."""

import io

import pytest
from rich.console import Console

from grader.batch.run import Progress
from grader.cli.progress import _Bar
from grader.messages import LANGUAGES

LONG = "ivanova_anna_sergeevna_" * 6


@pytest.mark.parametrize("width", [40, 60, 72, 73, 80, 120])
@pytest.mark.parametrize("language", LANGUAGES)
def test_count_and_rate_are_never_cut(width, language):
    bar = _Bar(Console(width=width, file=io.StringIO(), force_terminal=True), language)
    bar._began -= 20
    bar.show(Progress(1054, 3000, LONG))
    out = io.StringIO()
    Console(width=width, file=out).print(bar.get_renderable())
    (line,) = out.getvalue().splitlines()
    assert "1054/3000" in line
    assert "52." in line
    assert ("iv" in line) == (width > 72)
