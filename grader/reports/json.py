"""`result.json`: one submission's report as other programs read it; see `docs/json.md`."""

from typing import Any

import msgspec

from grader.model import Late, Report, TaskResult


def decimal(hundredths: int) -> float:
    """Return hundredths of a point as the decimal that files show."""
    return hundredths / 100


def as_result(report: Report) -> dict[str, Any]:
    """Return the report as the data of `result.json`, schema 1."""
    return {
        "schema": 1,
        "assignment": report.assignment,
        "submission": report.submission,
        "points": decimal(report.points),
        "possible": decimal(report.possible),
        "to_review": decimal(report.to_review),
        "undecided": decimal(report.undecided),
        "card": report.card,
        "profile": report.profile,
        "figures": report.figures,
        "seconds": report.seconds,
        "isolation": report.isolation,
        "digest": report.digest,
        **({"late": _late(report.late)} if report.late is not None else {}),
        "notes": [{"code": code, "values": values} for code, values in report.notes],
        "tasks": [_task(task) for task in report.tasks],
        "cells": [
            {
                "index": cell.index,
                "outcome": cell.outcome.value,
                "seconds": cell.seconds,
                "output": cell.output,
                "error": cell.error,
                "peak_bytes": cell.peak_bytes,
                **({"line": cell.line} if cell.line is not None else {}),
                **({"file": cell.file} if cell.file else {}),
            }
            for cell in report.cells
        ],
    }


def _late(late: Late) -> dict[str, Any]:
    return {**msgspec.to_builtins(late), "points": decimal(late.points)}


def _task(task: TaskResult) -> dict[str, Any]:
    return {
        "id": task.id,
        "outcome": task.outcome.value,
        "points": decimal(task.points),
        "possible": decimal(task.possible),
        "graded": graded_text(task),
        "found_by": task.found_by,
        "checks": [
            {
                "id": check.id,
                "outcome": check.outcome.value,
                "points": decimal(check.points),
                "possible": decimal(check.possible),
                "code": check.code,
                "values": check.values,
                "evidence": check.evidence,
                **({"reviewed": True, "comment": check.comment} if check.reviewed else {}),
            }
            for check in task.checks
        ],
    }


def graded_text(task: TaskResult) -> str:
    """Return which object was judged, as ``neuron (NeuronAND), cell 13``; empty for none."""
    if task.graded is None:
        return ""
    name, type_name, cell = task.graded
    shown = f"{name} ({type_name})" if type_name and type_name != name else name
    return f"{shown}, cell {cell}" if cell else shown


def encode_result(report: Report) -> bytes:
    """Return `result.json` as UTF-8 bytes, indented.

    Where it is printed in a step of a GitHub workflow, the runner would obey ``##[`` anywhere in a
    line (`ActionCommand.cs` of actions/runner), so that stands escaped; ``::`` counts at a line's
    start only, where no text of ours or a student's is.
    """
    data = msgspec.json.format(msgspec.json.encode(as_result(report)), indent=1)
    return data.replace(b"##[", b"#\\u0023[")
