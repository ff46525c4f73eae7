"""The `grader` command. Heavy modules are imported inside the commands, so that help is instant.

Results go to standard output, everything else to standard error. Exit codes: `PASSED`,
`NOT_PASSED`, `WRONG_USE`, `GRADER_FAILED`.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

import grader
from grader.cli.help import asked_language, default_language, speak
from grader.messages import message

_LIMITS_KEY = "grader.limits"
PASSED, NOT_PASSED, WRONG_USE, GRADER_FAILED = 0, 1, 2, 3
INTERRUPTED = 130
"""What shells give for a command that Ctrl-C ended."""


class _Spoken(click.Group):
    """A group whose help and usage errors are in the user's language."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **named: Any) -> Any:  # noqa: ANN401  # click's own
        """Choose the language before click says its first word."""
        arguments = sys.argv[1:] if args is None else [*args]
        speak(self, asked_language(arguments))
        return super().main(arguments, *rest, **named)


class _Path(click.Path):
    """A path; an empty one, as of a shell variable that is not set, is none."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401  # click's own
        """Return the path, which pathlib would take for the current folder where it is empty."""
        if not os.fspath(value):
            self.fail(message("cli.empty-path", language=asked_language(sys.argv[1:])), param, ctx)
        return super().convert(value, param, ctx)


def _attempt(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value in ("last", "first") or (
        value.isascii() and value.isdigit() and 0 < int(value) < 1000
    ):
        return value
    raise click.BadParameter(message("cli.bad-attempt", language=asked_language(sys.argv[1:])))


def _card(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value:
        return value
    from grader.devices import full_name

    return full_name(value)


def _common(command: click.Command) -> click.Command:
    """Add the options that every grading command has."""
    for option in (
        click.Option(["--profile"], default="", metavar="VERSION"),
        click.Option(["--card"], default="", metavar="NAME", callback=_card),
        click.Option(["--lang"], type=click.Choice(["en", "ru"])),
        click.Option(
            ["--assignment"], default="intro-to-torch", show_default=True, metavar="NAME|FOLDER"
        ),
    ):
        command.params.append(option)
    return command


_LIMITS: tuple[tuple[str, str, click.ParamType[Any], int], ...] = (
    ("--threads", "threads", click.IntRange(0, 1024), 1),
    ("--output", "output_bytes", click.IntRange(0, 1 << 20), 1),
    ("--memory", "memory_bytes", click.IntRange(64, 1 << 20), 1 << 20),
    ("--seconds", "submission_seconds", click.FloatRange(1, 86400), 1),
    ("--cell-seconds", "cell_cpu_seconds", click.FloatRange(0.1, 86400), 1),
)


def _limiting(command: click.Command) -> None:
    """Add the options that change an assignment's limits."""
    for option, field, kind, unit in _LIMITS:

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

        command.params.append(click.Option([option], type=kind, callback=note, expose_value=False))


def _limits() -> dict[str, int | float]:
    """Return the limits that options of the running command change, by field of `Limits`."""
    chosen: dict[str, int | float] = click.get_current_context().meta.get(_LIMITS_KEY, {})
    if "cell_cpu_seconds" in chosen:  # it holds for every kind of cell
        chosen["device_cell_seconds"] = chosen["cell_cpu_seconds"]
        chosen["cell_wall_seconds"] = 2 * chosen["cell_cpu_seconds"]
    return chosen


@click.group(cls=_Spoken, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(grader.__version__, prog_name="grader")
def main() -> None:
    """Grade PyTorch homework: notebooks as students hand them in."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@main.command()
@click.argument("path", type=_Path(path_type=Path))
@click.option("--task", metavar="ID")
@click.option("--html", type=_Path(path_type=Path), metavar="FILE")
@click.option("--json", "as_json", is_flag=True)
@click.option("--fail-under", metavar="POINTS")
@click.option("--watch", is_flag=True)
def check(
    path: Path,
    task: str | None,
    html: Path | None,
    as_json: bool,  # noqa: FBT001  # click passes by name
    fail_under: str | None,
    watch: bool,  # noqa: FBT001
    assignment: str,
    lang: str | None,
    card: str,
    profile: str,
) -> None:
    """Check one submission, on your own machine."""
    from grader.cli.check import Wanted, check_once
    from grader.cli.watch import check_on_save

    wanted = Wanted(
        path=path,
        assignment=assignment,
        language=lang or default_language(),
        card=card,
        profile=profile,
        task=task,
        limits=_limits(),
        html=html,
        as_json=as_json,
        fail_under=fail_under,
    )
    sys.exit(check_on_save(wanted) if watch else check_once(wanted))


@main.command()
@click.argument("paths", type=_Path(path_type=Path), nargs=-1, required=True)
@click.option("--out", type=_Path(path_type=Path), required=True)
@click.option(
    "--workers", type=click.IntRange(1, 256), default=os.cpu_count() or 1, show_default="cores"
)
@click.option("--scheduler", default="")
@click.option("--only")
@click.option("--reviews", type=_Path(path_type=Path))
@click.option("--roster", type=_Path(path_type=Path))
@click.option(
    "--from",
    "system",
    type=click.Choice(["moodle", "canvas", "gradescope", "nbgrader", "git", "folder"]),
)
@click.option(
    "--attempt",
    default="last",
    show_default=True,
    callback=_attempt,
)
@click.option("--unsafe", is_flag=True)
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
@click.argument("folder", type=_Path(path_type=Path))
@click.option("--lang", type=click.Choice(["en", "ru"]))
@click.option("--assignment")
@click.option("--reviews", type=_Path(path_type=Path))
def report(folder: Path, lang: str | None, assignment: str | None, reviews: Path | None) -> None:
    """Draw the pages of an output folder again; nothing is run."""
    from grader.cli.grade import draw_all

    language = lang or default_language()
    sys.exit(draw_all(folder, language=language, assignment=assignment, reviews=reviews))


@main.command()
@click.argument("folder", type=_Path(path_type=Path))
@click.option(
    "--to",
    "target",
    type=click.Choice(["moodle", "canvas", "gradescope", "csv"]),
    required=True,
)
@click.option(
    "--sheet",
    type=_Path(path_type=Path),
)
@click.option("--column", default="")
@click.option("--scale", is_flag=True)
@click.option("--unfinished", is_flag=True)
@click.option("--lang", type=click.Choice(["en", "ru"]))
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


@main.group()
def gradescope() -> None:
    """Grade on Gradescope."""


@gradescope.command()
@click.option(
    "--out",
    type=_Path(path_type=Path, dir_okay=False),
    default=Path("autograder.zip"),
    show_default=True,
)
def build(out: Path, assignment: str, lang: str | None, card: str, profile: str) -> None:
    """Write the archive that Gradescope builds an autograder from."""
    from grader.batch.grading import Settings
    from grader.cli.gradescope import build_archive

    language = lang or default_language()
    settings = Settings(assignment=assignment, card=card, profile=profile, language=language)
    sys.exit(build_archive(out, settings))


_common(build)


@main.command()
@click.argument("code")
@click.option("--lang", type=click.Choice(["en", "ru"]))
def explain(code: str, lang: str | None) -> None:
    """Say what the code of a message means."""
    from grader.cli import explain as explaining

    sys.exit(explaining.explain(code, language=lang or default_language()))


@main.command()
@click.argument("assignment", required=False)
@click.option("--lang", type=click.Choice(["en", "ru"]))
def doctor(assignment: str | None, lang: str | None) -> None:
    """Say what this machine can do, or try an assignment."""
    from grader.cli.doctor import examine, examine_assignment

    language = lang or default_language()
    if assignment is None:
        sys.exit(examine(language=language))
    sys.exit(examine_assignment(assignment, language=language))


for _command in (check, grade):
    _common(_command)
    _limiting(_command)
