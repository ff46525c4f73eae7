"""What a process may do: its user, its capabilities, who may look into it, with whom it dies."""

import ctypes
import os
import signal
import struct

from grader.sandbox import kernel

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_POSSIBLE_CAPABILITY = 63


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends; see man 2 PR_SET_PDEATHSIG.

    A change of user or capabilities resets it, so it is called again afterwards.
    """
    kernel.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def hide_memory(*, hidden: bool = True) -> None:
    """Keep other processes of the same user out of this one's memory.

    An undumpable process cannot be traced, and its files in /proc belong to root; see man 2
    PR_SET_DUMPABLE. A change of user resets it.
    """
    kernel.prctl(_PR_SET_DUMPABLE, 0 if hidden else 1)


def gain_nothing_by_exec() -> None:
    """Let no program give this process more rights; seccomp and Landlock ask for it.

    See man 2 PR_SET_NO_NEW_PRIVS.
    """
    kernel.prctl(_PR_SET_NO_NEW_PRIVS, 1)


def become(uid: int) -> None:
    """Change from root to another user for good, without groups; see man 2 setresuid."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def drop_bounding_set() -> None:
    """Give up every capability for what would be executed later; see man 7 capabilities.

    Children inherit it, so the server does it for all of them.
    """
    for capability in range(_LAST_POSSIBLE_CAPABILITY + 1):
        try:
            kernel.prctl(_PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last that this kernel knows, or there is no right to drop


def drop_capabilities() -> None:
    """Give up every capability, also for what would be executed; see man 7 capabilities."""
    kernel.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0), 8)
    kernel.syscall("capset", header, ctypes.create_string_buffer(24))
