"""Every sentence that people read, by dotted code, in English and Russian.

The sources are `po/AREA.LANG.po`, gettext catalogues whose keys are codes such as
``gate.wrong-row``; `tools/messages.py` compiles them into one `grader.LANG.mo` a language, which is
what this module loads. A code may have a second entry with the suffix ``.explain``: longer words
for `grader explain` and `docs/messages.md`, without placeholders.

Placeholders are ``{name}``, or ``{name:system}`` for a `system_reason`; values are text and may
come from a student, so whoever prints a message cleans or escapes the whole of it.
"""

import errno
import functools
import gettext
import string
from collections.abc import Mapping
from pathlib import Path

LANGUAGES = ("en", "ru")
_HERE = Path(__file__).parent


@functools.cache
def _catalogue(language: str) -> gettext.GNUTranslations:
    if language not in LANGUAGES:
        raise ValueError(f"no messages in {language!r}; there are {', '.join(LANGUAGES)}")
    with (_HERE / f"grader.{language}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


class _Values(dict[str, str]):
    """Leaves a placeholder without a value visible, instead of losing the whole message."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


class _Formatter(string.Formatter):
    """Fills ``{name:system}`` with the words for a reason of the system, where there are some."""

    def __init__(self, language: str) -> None:
        self._language = language

    def format_field(self, value: str, format_spec: str) -> str:
        if format_spec == "system" and has_message(f"system.{value.lower()}", self._language):
            return message(f"system.{value.lower()}", language=self._language)
        return value


def has_message(code: str, language: str = "en") -> bool:
    """Tell whether the catalogue has an entry for `code`."""
    return _catalogue(language).gettext(code) != code


def message(code: str, values: Mapping[str, str] | None = None, *, language: str = "en") -> str:
    """Return the message `code` in `language`, filled with `values`.

    Raises:
        KeyError: there is no such message; tests hold that every code in use has one.
    """
    return _filled(code, language, values) if values else _plain(code, language)


@functools.cache
def _plain(code: str, language: str) -> str:
    return _filled(code, language, {})


def _filled(code: str, language: str, values: Mapping[str, str]) -> str:
    text = _catalogue(language).gettext(code)
    if text == code:
        raise KeyError(f"no message {code!r} in {language!r}")
    return _Formatter(language).vformat(text, (), _Values(values))


def plural(
    code: str, number: int, values: Mapping[str, str] | None = None, *, language: str = "en"
) -> str:
    """Return the form of message `code` that fits `number`, which fills ``{number}``.

    Raises:
        KeyError: there is no such message.
    """
    text = _catalogue(language).ngettext(code, code, number)
    if text == code:
        raise KeyError(f"no message {code!r} in {language!r}")
    filled = _Values({**(values or {}), "number": str(number)})
    return _Formatter(language).vformat(text, (), filled)


def system_reason(error: Exception) -> str:
    """Return why the system refused, to fill ``{name:system}`` in any language.

    It is the name of the error, as ``ENOENT``, where there are words for it, else the system's own.
    """
    name = errno.errorcode.get(getattr(error, "errno", None) or 0, "")
    if has_message(f"system.{name.lower()}"):
        return name
    return getattr(error, "strerror", None) or str(error)


def codes(language: str = "en") -> frozenset[str]:
    """Return all codes of the catalogue, explanations included."""
    catalogue = _catalogue(language)._catalog  # type: ignore[attr-defined]  # no public way
    keys = (key[0] if isinstance(key, tuple) else key for key in catalogue)
    return frozenset(key for key in keys if key)
