"""A filter of system calls: a short list is allowed, everything else is refused with EPERM.

https://docs.kernel.org/userspace-api/seccomp_filter.html and man 2 seccomp. The filter is a program
for the kernel's classic BPF machine (include/uapi/linux/bpf_common.h), written here instruction by
instruction; arguments can be compared, but what pointers point to cannot.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from grader.sandbox import kernel
from grader.sandbox.syscalls import AUDIT_ARCHITECTURES, NUMBERS

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_IF_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

_OFFSET_NUMBER = 0  # struct seccomp_data: int nr, __u32 arch, __u64 ip, __u64 args[6]
_OFFSET_ARCHITECTURE = 4
_OFFSET_ARGUMENTS = 16
_X32_BIT = 0x40000000

_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_GET_ACTION_AVAIL = 2

_MAP_SHARED, _MAP_GROWSDOWN, _MAP_HUGETLB = 0x01, 0x100, 0x40000
_CLONE_VM, _CLONE_THREAD, _CLONE_VFORK = 0x100, 0x10000, 0x4000
_CLONE_NEW_ANYTHING = 0x7E020080  # the namespaces of man 7 namespaces, time among them
_AF_UNIX = 1
_SIGKILL, _SIGSTOP = 9, 19

_PRCTL_ALLOWED = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA (names of mappings)
_ARCH_PRCTL_ALLOWED = (0x1021, 0x1022, 0x1023)  # leave to use wide registers: man 2 arch_prctl
_IOCTL_ALLOWED = (0x5421, 0x541B, 0x5450, 0x5451)  # FIONBIO, FIONREAD, FIONCLEX, FIOCLEX
_ONLY_IN_OWN_FOLDER = frozenset({"truncate", "utimensat"})
_FCNTL_ALLOWED = (0, 1, 2, 3, 4, 5, 6, 7, 1030)  # dup, flags, locks; no owner, signal or seal


class Instruction(NamedTuple):
    """One instruction of the filter machine: `yes` and `no` are how many to skip."""

    code: int
    yes: int
    no: int
    value: int


Program = list[Instruction]


def _answer(action: int) -> Instruction:
    return Instruction(_RETURN, 0, 0, action)


def _refuse(number: int = errno.EPERM) -> Instruction:
    return _answer(_ERRNO | number)


def _argument(index: int, *, upper: bool = False) -> Instruction:
    """Load half of an argument; both kinds of machine are little-endian."""
    return Instruction(_LOAD, 0, 0, _OFFSET_ARGUMENTS + 8 * index + (4 if upper else 0))


def _need(index: int, value: int, *, mask: int | None = None) -> Program:
    """Refuse unless the argument, of its bits those in `mask`, is `value`."""
    masked = [] if mask is None else [Instruction(_AND, 0, 0, mask)]
    return [_argument(index), *masked, Instruction(_IF_EQUAL, 1, 0, value), _refuse()]


def _need_null(index: int) -> Program:
    """Refuse unless the argument is a null pointer."""
    upper = [_argument(index, upper=True), Instruction(_IF_EQUAL, 1, 0, 0), _refuse()]
    return [*_need(index, 0), *upper]


def _bar(index: int, values: Iterable[int]) -> Program:
    """Refuse if the argument is one of the values."""
    program = [_argument(index)]
    for value in values:
        program += [Instruction(_IF_EQUAL, 0, 1, value), _refuse()]
    return program


def _bar_bits(index: int, bits: int, number: int) -> Program:
    """Refuse if the argument has any of the bits."""
    return [_argument(index), Instruction(_IF_ANY_BIT, 0, 1, bits), _refuse(number)]


def _bar_emptying(index: int) -> Program:
    """Refuse to open for reading what is emptied by it; flags are the argument `index`."""
    return [
        _argument(index),
        Instruction(_AND, 0, 0, os.O_ACCMODE | os.O_TRUNC),
        Instruction(_IF_EQUAL, 0, 1, os.O_TRUNC),
        _refuse(),
    ]


def _need_one_of(index: int, values: tuple[int, ...], number: int = errno.EPERM) -> Program:
    """Refuse unless the argument is one of the values."""
    program = [_argument(index)]
    for position, value in enumerate(values):
        program.append(Instruction(_IF_EQUAL, len(values) - position, 0, value))
    return [*program, _refuse(number)]


def _conditions(own_pid: int, *, own_folder: bool) -> Mapping[str, Program]:
    """Return what must hold of the arguments of some calls, by name."""
    # Reading with truncation needs no right to write before version 3 of Landlock.
    opening = ([], []) if own_folder else (_bar_emptying(1), _bar_emptying(2))
    only_oneself = [*_need(0, own_pid)]
    return {
        # Threads, no processes and no namespaces.
        "clone": _need(
            0,
            _CLONE_VM | _CLONE_THREAD,
            mask=_CLONE_VM | _CLONE_THREAD | _CLONE_VFORK | _CLONE_NEW_ANYTHING,
        ),
        # Its flags are behind a pointer; without it the C library takes clone.
        "clone3": [_refuse(errno.ENOSYS)],
        # Shared memory, stacks that grow and huge pages are not counted by RLIMIT_DATA.
        "mmap": _bar_bits(3, _MAP_SHARED | _MAP_GROWSDOWN | _MAP_HUGETLB, errno.ENOMEM),
        "prctl": _need_one_of(0, _PRCTL_ALLOWED),
        "arch_prctl": _need_one_of(0, _ARCH_PRCTL_ALLOWED),
        # Reading one's own limits, changing none.
        "prlimit64": [*_need(0, 0), *_need_null(2)],
        # "No terminal" is what isatty() expects to hear.
        "ioctl": _need_one_of(1, _IOCTL_ALLOWED, errno.ENOTTY),
        "fcntl": _need_one_of(1, _FCNTL_ALLOWED),
        # abort() signals its own process; a SIGKILL is then never the student's own.
        "kill": [*only_oneself, *_bar(1, (_SIGKILL, _SIGSTOP))],
        "tgkill": [*only_oneself, *_bar(2, (_SIGKILL, _SIGSTOP))],
        # asyncio wakes its loop through a pair; nothing else can be reached by one.
        "socketpair": _need(0, _AF_UNIX),
        "sendto": _need_null(4),
        # Another process of the same user, such as the judge, could be pinned to one processor.
        "sched_setaffinity": _need_one_of(0, (0, own_pid)),
        "open": opening[0],
        "openat": opening[1],
    }


def allow_list(own_pid: int, *, own_folder: bool, machine: str = kernel.MACHINE) -> Program:
    """Return the filter of a child.

    Args:
        own_pid: the process that may be signalled, as it sees itself.
        own_folder: whether the child has a private root with a folder of its own. Else it sees the
            files of its user, and what Landlock lets through is refused here: changing times, and
            before version 3 truncation (https://docs.kernel.org/userspace-api/landlock.html).
        machine: ``x86_64`` or ``aarch64``.

    Raises:
        OSError: there is no table for this kind of machine.
    """
    if machine not in NUMBERS:
        raise OSError(errno.ENOSYS, f"no system call numbers for {machine}")
    conditions = _conditions(own_pid, own_folder=own_folder)
    refused = frozenset() if own_folder else _ONLY_IN_OWN_FOLDER
    numbers = {name: n for name, n in NUMBERS[machine].items() if name not in refused}
    program = [
        # A call in another convention (32 bit) would have other numbers.
        Instruction(_LOAD, 0, 0, _OFFSET_ARCHITECTURE),
        Instruction(_IF_EQUAL, 1, 0, AUDIT_ARCHITECTURES[machine]),
        _answer(KILL_PROCESS),
        Instruction(_LOAD, 0, 0, _OFFSET_NUMBER),
        Instruction(_IF_AT_LEAST, 0, 1, _X32_BIT),
        _refuse(errno.ENOSYS),
    ]
    for name, number in numbers.items():
        body = [*conditions.get(name, []), _answer(ALLOW)]
        program += [Instruction(_IF_EQUAL, 0, len(body), number), *body]
    return [*program, _refuse()]


_INSTRUCTION_BYTES = struct.calcsize("HBBI")


class _SockFprog(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def is_available() -> bool:
    """Tell whether the kernel takes filters that answer with an error number."""
    action = ctypes.create_string_buffer(struct.pack("I", _ERRNO), 4)
    try:
        kernel.syscall("seccomp", _SECCOMP_GET_ACTION_AVAIL, 0, action)
    except OSError:
        return False
    return kernel.MACHINE in NUMBERS


def assemble(program: Program) -> bytes:
    """Return a filter as the kernel reads it, `struct sock_filter` after another."""
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def load(code: bytes) -> None:
    """Put this process under an assembled filter for good; needs `gain_nothing_by_exec` first.

    Raises:
        OSError: the kernel refuses.
    """
    buffer = ctypes.create_string_buffer(code, len(code))
    header = _SockFprog(len(code) // _INSTRUCTION_BYTES, ctypes.addressof(buffer))
    kernel.syscall("seccomp", _SECCOMP_SET_MODE_FILTER, 0, header)
