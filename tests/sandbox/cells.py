"""A cell as the judge sends it to a child."""

from grader.sandbox.protocol import RunCell


def cell(source, index=1, *, style="notebook", seconds=20.0):
    """Return the message that runs a cell, interrupted after that much processor time."""
    return RunCell(
        index=index,
        file="homework.ipynb",
        source=source,
        style=style,
        cpu_seconds=seconds,
        device_seconds=seconds,
    )
