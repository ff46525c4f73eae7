"""Landlock: rights to files that a process gives up for good, without root.

https://docs.kernel.org/userspace-api/landlock.html; kernel 5.13 and later. The interface grew in
numbered versions (ABI), and each right is asked for only where the kernel knows it.
"""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from grader.sandbox import kernel

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_REMOVE_DIR = 1 << 4
_REMOVE_FILE = 1 << 5
_MAKE_DIR = 1 << 7
_MAKE_REG = 1 << 8
_MAKE_SYM = 1 << 12
_TRUNCATE = 1 << 14

_FILE_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK_FROM_ABI = 4
_BIND_AND_CONNECT_TCP = 0b11
_SCOPES_FROM_ABI = 6
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_OWN_FOLDER = (
    _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE
    | _MAKE_DIR | _MAKE_REG | _MAKE_SYM | _TRUNCATE
)  # fmt: skip
"""All that files of one's own need: nothing executable, no device, fifo or socket."""

_DEVICES = {
    "/dev/null": _READ_FILE | _WRITE_FILE,
    "/dev/urandom": _READ_FILE,
    "/dev/random": _READ_FILE,
}


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def find_abi() -> int:
    """Return the version of the interface that the kernel offers, 0 for none."""
    try:
        return kernel.syscall("landlock_create_ruleset", None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def file_rights(abi: int) -> int:
    """Return every right to files that a version knows."""
    return _FILE_RIGHTS_BY_ABI[max(known for known in _FILE_RIGHTS_BY_ABI if known <= abi)]


def make_ruleset(readable: Sequence[str], own_parent: str | None, *, abi: int) -> int:
    """Return the descriptor of a ruleset: read here, write there, nothing else anywhere.

    Execution is granted nowhere. A rule holds for what lies beneath a folder, and also for what is
    mounted there later, but not for the folder that a mount hides; so the own folder, which each
    child mounts anew, is named by its parent, and one set serves all children.

    Args:
        readable: files and folders to read.
        own_parent: the folder in which a child's own one lies, itself read-only; None where
            children have none.
        abi: of `find_abi`.

    Raises:
        OSError: the kernel refuses.
    """
    handled = file_rights(abi)
    attributes = _RulesetAttributes(
        handled,
        _BIND_AND_CONNECT_TCP if abi >= _NETWORK_FROM_ABI else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if abi >= _SCOPES_FROM_ABI else 0,
    )
    size = 8 * (1 + (abi >= _NETWORK_FROM_ABI) + (abi >= _SCOPES_FROM_ABI))
    ruleset = kernel.syscall("landlock_create_ruleset", attributes, size, 0)
    for path in readable:
        folder = Path(path).is_dir()
        _allow(ruleset, path, _READ_FILE | (_READ_DIR if folder else 0))
    for path, rights in _DEVICES.items():
        _allow(ruleset, path, rights)
    if own_parent is not None:
        _allow(ruleset, own_parent, _OWN_FOLDER & handled)
    return ruleset


def restrict(ruleset: int) -> None:
    """Hold this process and what it starts to a ruleset; needs `gain_nothing_by_exec` first."""
    kernel.syscall("landlock_restrict_self", ruleset, 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no right
    try:
        rule = _PathBeneath(rights, beneath)
        kernel.syscall("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(beneath)
