"""What an assignment takes for a late submission: its own line of the report, never hidden.

Points of tasks stay what the answers earned; the penalty is a percentage of their sum.
"""

import datetime
import math
import re
import zoneinfo

import msgspec

from grader.model import Late, Policy, Report

_DAY = datetime.timedelta(days=1)
_CLOCK = re.compile(r"(\d)T(\d)")
_OFFSET = re.compile(r"[+-]\d{2}:?\d{2}")
_RUSSIAN = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")


def read_time(text: str, zone: datetime.tzinfo | None) -> datetime.datetime | None:
    """Return a time that a system or a roster wrote; None where it is in no known form.

    Args:
        text: ISO 8601, or a date as in ``23.11.2026``; a time; an offset or the name of a zone.
        zone: of times that name none.
    """
    words = _CLOCK.sub(r"\1 \2", text.strip().removesuffix("Z")).split()
    if not words or len(words) > 3:
        return None
    words[0] = _RUSSIAN.sub(lambda m: f"{m[3]}-{int(m[2]):02}-{int(m[1]):02}", words[0])
    if len(words) == 3:
        name = words.pop()
        if _OFFSET.fullmatch(name):
            words[1] += name
        else:
            zone = _zone(name)
    elif text.strip().endswith("Z"):
        zone = datetime.UTC
    try:
        found = datetime.datetime.fromisoformat(" ".join(words))
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=zone)
    return found if found.tzinfo else None


def _zone(name: str) -> datetime.tzinfo | None:
    if name in ("Z", "UTC", "GMT"):
        return datetime.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def apply_policy(report: Report, policy: Policy | None, submitted: str) -> Report:
    """Return the report with what the policy takes for the time at which it was handed in.

    Args:
        report: with the decisions of persons, whose points count.
        policy: of the assignment; without one nothing is late.
        submitted: the time, see `read_time`; empty or unreadable leaves the report as it is.
    """
    if policy is None or not submitted:
        return report
    time = read_time(submitted, policy.due.tzinfo)
    if time is None or time <= policy.due:
        return report
    days = math.ceil((time - policy.due) / _DAY)
    charged = max(0, days - policy.late_days)
    percent = min(policy.percent_most, charged * policy.percent_a_day)
    earned = sum(task.points for task in report.tasks)
    late = Late(
        submitted=time.isoformat(),
        due=policy.due.isoformat(),
        days=days,
        percent=percent,
        points=earned * percent // 100,
    )
    return msgspec.structs.replace(report, late=late)
