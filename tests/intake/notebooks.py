"""Notebooks and assignments for the tests of intake."""

import json

from grader.model import Assignment, Heading, Task


def code(source, *, outputs=()):
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": list(outputs),
        "source": source,
    }


def text(source, **more):
    return {"cell_type": "markdown", "metadata": {}, "source": source, **more}


def notebook(*cells, **more):
    """Return the bytes of a notebook with these cells."""
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **more}
    return json.dumps(whole).encode()


def sections_notebook(*sections):
    """Return the bytes of a notebook with a code cell under a heading for each (heading, code)."""
    return notebook(
        *(cell for heading, source in sections for cell in (text(f"## {heading}"), code(source)))
    )


def task(task_id, *headings, names=(), aliases=(), content=()):
    return Task(
        id=task_id,
        title={},
        headings=headings,
        question=None,
        checks=(),
        names=names,
        aliases=aliases,
        content=content,
    )


_LATER = tuple(Heading("task", number) for number in range(7, 13))

ASSIGNMENT = Assignment(
    name="sample",
    title={},
    tasks=(
        task("count", Heading("task", 1), names=("answer_net",), aliases=("params",)),
        task("not", Heading("task", 2), aliases=("not", "не")),
        task("and", Heading("task", 3), names=("neuron_and",), aliases=("and", "и")),
        task("or", Heading("task", 4), aliases=("or", "или")),
        task("xor", Heading("task", 5), aliases=("xor",)),
        task("boundary", Heading("question", 1), aliases=("boundary",)),
        task("stack", Heading("question", 2), aliases=("stack",)),
        task(
            "xor-expression",
            Heading("homework", 1),
            Heading("task", 6),
            aliases=("xor_expression", "expression"),
            content=("x1", "x2"),
        ),
        task("gradients", Heading("homework", 2), *_LATER, content=("backward",)),
        task("limits", Heading("homework", 3), *_LATER, content=("cuda",)),
        task("oom", Heading("homework", 4), *_LATER, content=("cuda",)),
    ),
    samples=("neuron(1*x1 + 5*x2 - 0.1) + neuron(x1)",),
)
