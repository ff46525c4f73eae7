"""Gives the virtual GPU of this process a key, and an audit of what it does from then on."""

import os

from grader import vgpu
from grader.sandbox.audit import Audit

KEY = b"k" * 16


def begin_audit() -> Audit:
    """Set the device up with a key, which it may have once in a process."""
    reading, writing = os.pipe()
    os.write(writing, KEY)
    vgpu.take_key(reading)
    vgpu.reset("Tesla T4")
    return Audit(KEY, "Tesla T4")
