"""The kernel's calls that Python does not offer, by ctypes; see `docs/design/0003-sandbox.md`.

Importing this module works everywhere; its functions raise `OSError` where the kernel lacks them.
Pages named `man` are those of https://man7.org/linux/man-pages/.
"""

import ctypes
import errno
import functools
import os
import platform
from pathlib import Path

MACHINES = ("x86_64", "aarch64")
MACHINE = platform.machine()

_NUMBERS = {
    # Calls without a wrapper in the C library, or with one that is too new to rely on; from the
    # kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
    "x86_64": {
        "capset": 126,
        "pivot_root": 155,
        "seccomp": 317,
        "close_range": 436,
        "mount_setattr": 442,
        "landlock_create_ruleset": 444,
        "landlock_add_rule": 445,
        "landlock_restrict_self": 446,
    },
    "aarch64": {
        "capset": 91,
        "pivot_root": 41,
        "seccomp": 277,
        "close_range": 436,
        "mount_setattr": 442,
        "landlock_create_ruleset": 444,
        "landlock_add_rule": 445,
        "landlock_restrict_self": 446,
    },
}


@functools.cache
def libc() -> ctypes.CDLL:
    """Return the C library of this process."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def checked(result: int, what: str) -> int:
    """Return the result of a call.

    Raises:
        OSError: it is negative; the text names `what`.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


Argument = int | bytes | ctypes.Array[ctypes.c_char] | ctypes.Structure | None


def syscall(name: str, *arguments: Argument) -> int:
    """Make a call by its name in the tables of this module.

    Structures are passed by reference.

    Raises:
        OSError: the kernel refuses, or this kind of machine has no table here.
    """
    numbers = _NUMBERS.get(MACHINE)
    if numbers is None or os.name != "posix":
        raise OSError(errno.ENOSYS, f"{name}: no system call numbers for {MACHINE}")
    passed = [
        ctypes.c_long(argument)
        if isinstance(argument, int)
        else ctypes.byref(argument)
        if isinstance(argument, ctypes.Structure)
        else argument
        for argument in arguments
    ]
    return checked(libc().syscall(ctypes.c_long(numbers[name]), *passed), name)


def prctl(operation: int, argument: int = 0) -> None:
    """Call prctl with one argument; see man 2 prctl.

    Raises:
        OSError: the kernel refuses.
    """
    zero = ctypes.c_ulong(0)
    result = libc().prctl(ctypes.c_int(operation), ctypes.c_ulong(argument), zero, zero, zero)
    checked(result, f"prctl {operation}")


def close_from(lowest: int) -> None:
    """Close every descriptor from `lowest` on, without trying a million numbers one by one."""
    try:
        syscall("close_range", lowest, 0xFFFFFFFF, 0)
    except OSError:
        os.closerange(lowest, os.sysconf("SC_OPEN_MAX"))


def status_bytes(*keys: str, pid: int | str = "self") -> int:
    """Return the sum of sizes of a process, such as ``VmData``; see man 5 proc_pid_status.

    Raises:
        OSError: /proc is not there, or its file lacks one of the lines.
    """
    wanted, total = set(keys), 0
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in wanted:
            wanted.discard(name)
            total += int(value.split()[0]) * 1024
    if wanted:
        raise OSError(errno.ENOENT, f"/proc/{pid}/status lacks {', '.join(sorted(wanted))}")
    return total
