"""`grader gradescope build`: the archive of an autograder."""

import sys
from pathlib import Path

from rich.console import Console

from grader.batch.grading import Settings
from grader.ci.gradescope import build
from grader.cli.main import PASSED
from grader.cli.show import guarded, say
from grader.messages import message
from grader.reports.clean import clean_line


def build_archive(out: Path, settings: Settings) -> int:
    """Write the archive and say what to do with it; return the exit code."""

    def action() -> int:
        has_keys = build(out, settings)
        language = settings.language
        words = message("ci.gradescope-built", {"path": str(out)}, language=language)
        Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=True).print(
            clean_line(words, most=2000)
        )
        if has_keys:
            say("ci.gradescope-keys", {}, language=language)
        return PASSED

    return guarded(action, language=settings.language)
