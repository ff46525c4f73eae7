"""`grader export`: grades for a learning-management system."""

import sys
from pathlib import Path

from grader.batch.exporting import Target, export
from grader.batch.handing import listed
from grader.cli.main import PASSED
from grader.cli.show import error_console, guarded
from grader.messages import plural
from grader.reports.clean import clean_line


def export_all(
    folder: Path,
    target: Target,
    *,
    sheet: Path | None,
    column: str,
    scale: bool,
    unfinished: bool,
    language: str,
) -> int:
    """Write what a system takes, print the paths of the files; return the exit code."""

    def action() -> int:
        done = export(
            folder, target, sheet=sheet, column=column, scale=scale, unfinished=unfinished
        )
        for path in done.files:
            sys.stdout.write(f"{path}\n")
        console = error_console()
        console.print(plural("cli.exported", done.count, language=language))
        for code, names in (
            ("cli.export-waiting", done.waiting),
            ("cli.export-unlisted", done.unlisted),
            ("cli.export-locked", done.locked),
            ("cli.export-asked-again", done.asked_again),
        ):
            if names:
                text = plural(code, len(names), {"names": listed(names)}, language=language)
                console.print(clean_line(text, most=2000))
        return PASSED

    return guarded(action, language=language)
