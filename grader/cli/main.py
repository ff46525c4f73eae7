"""The `grader` command. Heavy modules are imported inside the commands, so that help is instant.

Results go to standard output, everything else to standard error. Exit codes: `PASSED`,
`NOT_PASSED`, `WRONG_USE`, `GRADER_FAILED`.
"""

import locale
import os
import sys
from pathlib import Path
from typing import Any, Literal

import click

import grader

_LIMITS_KEY = "grader.limits"
PASSED, NOT_PASSED, WRONG_USE, GRADER_FAILED = 0, 1, 2, 3


def default_language() -> str:
    """Return the language of the user's locale, English where it is neither."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "ru" if value.lower().startswith("ru") else "en"
    system = locale.getlocale()[0] or ""
    return "ru" if system.lower().startswith(("ru", "russian")) else "en"


def _attempt(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value in ("last", "first") or (
        value.isascii() and value.isdigit() and 0 < int(value) < 1000
    ):
        return value
    raise click.BadParameter("last, first or a number from 1")


def _common(command: click.Command) -> click.Command:
    """Add the options that every grading command has."""
    for option in (
        click.Option(
            ["--profile"], default="", help="Runtime profile of the virtual GPU, as 1.12."
        ),
        click.Option(["--card"], default="", help='Card to imitate, or "real".'),
        click.Option(
            ["--lang"], type=click.Choice(["en", "ru"]), help="Language (default: the locale's)."
        ),
        click.Option(
            ["--assignment"],
            default="intro-to-torch",
            show_default=True,
            help="Name or folder of the assignment.",
        ),
    ):
        command.params.append(option)
    return command


_LIMITS: tuple[tuple[str, str, click.ParamType[Any], int, str], ...] = (
    (
        "--threads",
        "threads",
        click.IntRange(0, 1024),
        1,
        "Limit: threads that a submission starts.",
    ),
    (
        "--output",
        "output_bytes",
        click.IntRange(0, 1 << 20),
        1,
        "Limit: bytes of output kept a cell.",
    ),
    ("--memory", "memory_bytes", click.IntRange(64, 1 << 20), 1 << 20, "Limit: memory in MiB."),
    (
        "--seconds",
        "submission_seconds",
        click.FloatRange(1, 86400),
        1,
        "Limit: seconds a submission.",
    ),
    (
        "--cell-seconds",
        "cell_cpu_seconds",
        click.FloatRange(0.1, 86400),
        1,
        "Limit: seconds a cell.",
    ),
)


def _limiting(command: click.Command) -> None:
    """Add the options that change an assignment's limits."""
    for option, field, kind, unit, text in _LIMITS:

        def note(
            context: click.Context,
            parameter: click.Parameter,
            value: float | None,
            field: str = field,
            unit: int = unit,
        ) -> None:
            del parameter
            if value is not None:
                context.meta.setdefault(_LIMITS_KEY, {})[field] = value * unit

        command.params.append(
            click.Option([option], type=kind, callback=note, expose_value=False, help=text)
        )


def _limits() -> dict[str, int | float]:
    """Return the limits that options of the running command change, by field of `Limits`."""
    chosen: dict[str, int | float] = click.get_current_context().meta.get(_LIMITS_KEY, {})
    if "cell_cpu_seconds" in chosen:  # it holds for every kind of cell
        chosen["device_cell_seconds"] = chosen["cell_cpu_seconds"]
        chosen["cell_wall_seconds"] = 2 * chosen["cell_cpu_seconds"]
    return chosen


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(grader.__version__, prog_name="grader")
def main() -> None:
    """Grade PyTorch homework: notebooks as students hand them in."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--task", help="Judge this one task only.")
@click.option("--html", type=click.Path(path_type=Path), help="Write the page to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print result.json instead of the table.")
def check(
    path: Path,
    task: str | None,
    html: Path | None,
    as_json: bool,  # noqa: FBT001  # click passes by name
    assignment: str,
    lang: str | None,
    card: str,
    profile: str,
) -> None:
    """Check one submission, on your own machine."""
    from grader.cli.check import check_once

    language = lang or default_language()
    sys.exit(
        check_once(
            path,
            assignment=assignment,
            language=language,
            card=card,
            profile=profile,
            task=task,
            limits=_limits(),
            html=html,
            as_json=as_json,
        )
    )


@main.command()
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder.")
@click.option(
    "--workers", type=click.IntRange(1, 256), default=os.cpu_count() or 1, show_default="cores"
)
@click.option("--scheduler", default="", help="Grade on the Dask cluster at this address.")
@click.option("--only", help="Grade the submission of this name again.")
@click.option(
    "--reviews", type=click.Path(path_type=Path), help="Take the decisions in this review.csv."
)
@click.option("--roster", type=click.Path(path_type=Path), help="Table of who should hand in.")
@click.option(
    "--from",
    "system",
    type=click.Choice(["moodle", "canvas", "gradescope", "nbgrader", "git", "folder"]),
    help="System that the paths come from (default: recognised).",
)
@click.option(
    "--attempt",
    default="last",
    show_default=True,
    callback=_attempt,
    help="Which attempt counts: last, first or a number.",
)
@click.option("--unsafe", is_flag=True, help="Grade even where the machine cannot isolate.")
def grade(
    paths: tuple[Path, ...],
    out: Path,
    workers: int,
    scheduler: str,
    only: str | None,
    reviews: Path | None,
    roster: Path | None,
    system: str | None,
    attempt: str,
    unsafe: bool,  # noqa: FBT001  # click passes by name
    assignment: str,
    lang: str | None,
    card: str,
    profile: str,
) -> None:
    """Grade submissions; each entry of a folder is one."""
    from grader.batch.grading import Settings
    from grader.batch.handing import Source
    from grader.cli.grade import grade_all

    settings = Settings(
        assignment=assignment,
        card=card,
        profile=profile,
        language=lang or default_language(),
        unsafe=unsafe,
        limits=_limits(),
    )
    sys.exit(
        grade_all(
            paths,
            out,
            settings,
            workers=workers,
            scheduler=scheduler,
            only=only,
            reviews=reviews,
            source=Source(system=system, attempt=attempt, roster=roster),
        )
    )


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--lang", type=click.Choice(["en", "ru"]), help="Language (default: the locale's).")
@click.option("--assignment", help="Name or folder (default: the one that was graded).")
@click.option(
    "--reviews", type=click.Path(path_type=Path), help="Take the decisions in this review.csv."
)
def report(folder: Path, lang: str | None, assignment: str | None, reviews: Path | None) -> None:
    """Draw the pages of an output folder again; nothing is run."""
    from grader.cli.grade import draw_all

    language = lang or default_language()
    sys.exit(draw_all(folder, language=language, assignment=assignment, reviews=reviews))


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "target",
    type=click.Choice(["moodle", "canvas", "gradescope", "csv"]),
    required=True,
    help="System that takes the grades.",
)
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    help="Moodle's worksheet or Canvas's gradebook, as downloaded.",
)
@click.option("--column", default="", help="The assignment in Canvas's gradebook: title or number.")
@click.option("--scale", is_flag=True, help="Convert points to the sheet's maximum.")
@click.option("--unfinished", is_flag=True, help="Write grades that wait for a person in part.")
@click.option("--lang", type=click.Choice(["en", "ru"]), help="Language (default: the locale's).")
def export(
    folder: Path,
    target: Literal["moodle", "canvas", "gradescope", "csv"],
    sheet: Path | None,
    column: str,
    scale: bool,  # noqa: FBT001  # click passes by name
    unfinished: bool,  # noqa: FBT001
    lang: str | None,
) -> None:
    """Write the grades of an output folder for a learning-management system."""
    from grader.cli.export import export_all

    sys.exit(
        export_all(
            folder,
            target,
            sheet=sheet,
            column=column,
            scale=scale,
            unfinished=unfinished,
            language=lang or default_language(),
        )
    )


for _command in (check, grade):
    _common(_command)
    _limiting(_command)
