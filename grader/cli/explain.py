"""`grader explain`: what the code of a message means, in the user's language."""

import sys
from difflib import get_close_matches

from rich.console import Console

from grader.cli.main import PASSED, WRONG_USE
from grader.cli.show import say
from grader.messages import codes, has_message, message
from grader.reports.clean import clean_line

_MOST_NEAR = 6


def explain(code: str, *, language: str) -> int:
    """Print a message with its longer words; return the exit code.

    A code that is none gets the codes that are nearest to it.
    """
    if code not in explainable():
        near = nearest(code)
        values = {"code": clean_line(code), "near": ", ".join(near)}
        say("explain.unknown-near" if near else "explain.unknown", values, language=language)
        return WRONG_USE
    out = Console(file=sys.stdout, highlight=False, markup=False)
    out.print(code, style="bold")
    out.print(message(code, language=language))
    longer = f"{code}.explain"
    if has_message(longer, language):
        out.print()
        out.print(message(longer, language=language))
    return PASSED


def explainable() -> list[str]:
    """Return the codes that stand for messages of their own, sorted."""
    return sorted(code for code in codes() if not code.endswith(".explain"))


def nearest(code: str) -> list[str]:
    """Return the codes that may be meant: alike, or with the typed word in them."""
    known = explainable()
    alike = get_close_matches(code.lower(), known, n=_MOST_NEAR, cutoff=0.7)
    word = code.strip().lower().rpartition(".")[2]
    holding = [one for one in known if len(word) > 2 and word in one]
    area = [one for one in known if one.startswith(f"{code}.")]
    return list(dict.fromkeys([*alike, *area, *holding]))[:_MOST_NEAR]
