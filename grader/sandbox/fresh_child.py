"""The far side of `grader.sandbox.fresh`: a process for one submission, without locks."""

import contextlib
import os
import sys
from pathlib import Path

from grader.sandbox.device import find_virtual_gpu, hide_card
from grader.sandbox.protocol import REAL, Start
from grader.sandbox.wire import Channel, Gone


def main(core: str, *packages: str) -> None:
    """Load what is needed, then serve the judge over what were standard input and output."""
    channel = Channel(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.path.extend(folder for folder in packages if folder not in sys.path)
    if core:
        from grader import vgpu

        with contextlib.suppress(vgpu.Unavailable):
            vgpu.install(core=Path(core))
    from grader.sandbox import child

    child.preload(once=True)
    with contextlib.suppress(Gone):
        start = channel.receive()
        if not isinstance(start, Start):
            raise TypeError(f"the first message is {type(start).__name__}, not a start")
        if start.card != REAL and find_virtual_gpu() is None:
            hide_card()
        child.run(channel, start, 2)
    os._exit(0)
