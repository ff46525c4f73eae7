"""Help and usage errors in the user's language.

Commands and options are declared without help texts: `put_help` fills them in from the catalogue,
where ``help.COMMAND`` is a command's and ``help.COMMAND-OPTION`` or ``help.OPTION`` an option's.
Click's own words go through gettext, for which ``grader/messages/click`` holds a catalogue.
"""

import gettext
import locale
import os
from collections.abc import Sequence
from pathlib import Path

import click

from grader.messages import has_message, message

_CLICK = Path(__file__).resolve().parent.parent / "messages" / "click"


def default_language() -> str:
    """Return the language of the user's locale, English where it is neither."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "ru" if value.lower().startswith("ru") else "en"
    system = locale.getlocale()[0] or ""
    return "ru" if system.lower().startswith(("ru", "russian")) else "en"


def asked_language(arguments: Sequence[str]) -> str:
    """Return the language that ``--lang`` names among the arguments, else the locale's."""
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--lang":
            value = value if equals else "".join(arguments[position + 1 : position + 2])
            if value in ("en", "ru"):
                return value
    return default_language()


def speak(command: click.Group, language: str) -> None:
    """Put the words of a command, of all below it and of click itself into a language."""
    os.environ["LANGUAGE"] = language
    gettext.bindtextdomain("click", str(_CLICK))
    gettext.textdomain("click")
    put_help(command, (), language)


def put_help(command: click.Command, path: tuple[str, ...], language: str) -> None:
    """Fill in the help of a command, named by the commands that lead to it, and of its options."""
    name = "-".join(path) or "grader"
    if has_message(f"help.{name}", language):
        command.help = message(f"help.{name}", language=language)
    for option in command.params:
        if isinstance(option, click.Option):
            code = option_code(name, option)
            if has_message(code, language):
                option.help = message(code, language=language)
    if isinstance(command, click.Group):
        for sub_name, sub_command in command.commands.items():
            put_help(sub_command, (*path, sub_name), language)


def option_code(command: str, option: click.Option) -> str:
    """Return the code of an option's help: the command's own if there is one."""
    longest = max(option.opts, key=len).lstrip("-")
    own = f"help.{command}-{longest}"
    return own if has_message(own) else f"help.{longest}"
