"""The filter of system calls, run by a machine of our own, for both kinds of processor.

The aarch64 program is decoded and run here against its table; it has not run on such a machine.
"""

import errno
import os
import re
import struct
from pathlib import Path

import pytest

from grader.sandbox import seccomp
from grader.sandbox.syscalls import AUDIT_ARCHITECTURES, NUMBERS

OWN_PID = 4711
MACHINES = tuple(NUMBERS)
# From the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
REFUSED = {
    "x86_64": {
        "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "socket": 41, "connect": 42,
        "bind": 49, "ptrace": 101, "unshare": 272, "setns": 308, "mount": 165, "bpf": 321,
        "io_uring_setup": 425, "perf_event_open": 298, "keyctl": 250, "shmget": 29,
        "memfd_create": 319, "process_vm_readv": 310, "pidfd_open": 434, "pidfd_getfd": 438,
        "setuid": 105, "chroot": 161, "sendmsg": 46, "chmod": 90, "chown": 92, "link": 86,
        "mknod": 133, "setrlimit": 160, "seccomp": 317, "setpriority": 141,
    },
    "aarch64": {
        "execve": 221, "execveat": 281, "socket": 198, "connect": 203, "bind": 200, "ptrace": 117,
        "unshare": 97, "setns": 268, "mount": 40, "bpf": 280, "io_uring_setup": 425,
        "perf_event_open": 241, "keyctl": 219, "shmget": 194, "memfd_create": 279,
        "process_vm_readv": 270, "pidfd_open": 434, "pidfd_getfd": 438, "setuid": 146,
        "chroot": 51, "sendmsg": 211, "fchmodat": 53, "fchownat": 54, "linkat": 37, "mknodat": 33,
        "setrlimit": 164, "seccomp": 277, "setpriority": 140,
    },
}  # fmt: skip
NO = 0x00050000 | errno.EPERM


def answer(program, number, *arguments, architecture):
    """Run a filter on a system call, as the kernel would."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(a & (1 << 64) - 1 for a in padded))
    place, held = 0, 0
    while True:
        code, yes, no, value = program[place]
        place += 1
        if code == 0x20:
            (held,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            held &= value
        elif code == 0x06:
            return value
        else:
            tests = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}
            place += yes if tests[code] else no


@pytest.fixture(params=MACHINES)
def call(request):
    machine = request.param
    program = seccomp.allow_list(OWN_PID, own_folder=True, machine=machine)
    assert len(program) < 4096  # BPF_MAXINSNS
    assert all(max(step.yes, step.no) < 256 for step in program)

    def called(name, *arguments):
        number = NUMBERS[machine].get(name, REFUSED[machine].get(name))
        if number is None:
            pytest.skip(f"{machine} has no {name}")
        architecture = AUDIT_ARCHITECTURES[machine]
        return answer(program, number, *arguments, architecture=architecture)

    called.machine = machine
    return called


def test_what_exploits_and_neighbours_need_is_refused(call):
    answers = {name: call(name, 1, 1, 1, 1) for name in REFUSED[call.machine]}
    assert set(answers.values()) == {NO}


def test_no_number_beyond_the_table_is_allowed(call):
    known = set(NUMBERS[call.machine].values())
    program = seccomp.allow_list(OWN_PID, own_folder=True, machine=call.machine)
    architecture = AUDIT_ARCHITECTURES[call.machine]
    for number in (n for n in range(1000) if n not in known):
        assert answer(program, number, architecture=architecture) == NO


def test_what_python_and_torch_need_is_allowed(call):
    for name in ("read", "write", "close", "futex", "munmap", "exit_group", "getrandom", "brk"):
        assert call(name) == seccomp.ALLOW
    assert call("mmap", 0, 4096, 3, 0x22) == seccomp.ALLOW
    assert call("clone", 0x3D0F00) == seccomp.ALLOW  # what pthread_create asks for


def test_another_convention_of_calls_ends_the_process(call):
    program = seccomp.allow_list(OWN_PID, own_folder=True, machine=call.machine)
    assert answer(program, 1, architecture=0x40000003) == seccomp.KILL_PROCESS


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("clone", (17,)),  # a fork
        ("clone", (0x3D0F00 | 0x10000000,)),  # a thread with a user namespace
        ("clone", (0x100 | 0x4000,)),  # vfork
        ("kill", (1, 9)),
        ("kill", (-1, 15)),
        ("kill", (0, 15)),
        ("kill", (OWN_PID, 9)),
        ("kill", (OWN_PID, 19)),
        ("tgkill", (1, 1, 15)),
        ("prctl", (1, 0)),  # PR_SET_PDEATHSIG
        ("prctl", (4, 1)),  # PR_SET_DUMPABLE
        ("prlimit64", (1, 0, 0)),
        ("prlimit64", (0, 2, 0x1000)),
        ("prlimit64", (0, 2, 1 << 40)),
        ("socketpair", (2, 1)),
        ("sendto", (3, 0, 0, 0, 0x1000)),
        ("sendto", (3, 0, 0, 0, 1 << 40)),
        ("fcntl", (3, 8)),  # F_SETOWN
        ("fcntl", (3, 1033)),  # F_ADD_SEALS
        ("sched_setaffinity", (1,)),
    ],
)
def test_arguments_that_reach_others_are_refused(call, name, arguments):
    assert call(name, *arguments) == NO


@pytest.mark.parametrize("flags", [0x01, 0x21, 0x122, 0x40022])
def test_memory_that_no_limit_counts_is_refused(call, flags):
    assert call("mmap", 0, 4096, 3, flags) == 0x00050000 | errno.ENOMEM


def test_clone3_looks_as_if_the_kernel_had_none(call):
    assert call("clone3", 0x1000, 64) == 0x00050000 | errno.ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_without_a_folder_of_its_own_a_child_empties_and_dates_no_file(machine):
    program = seccomp.allow_list(OWN_PID, own_folder=False, machine=machine)
    numbers, architecture = NUMBERS[machine], AUDIT_ARCHITECTURES[machine]

    def call(name, *arguments):
        return answer(program, numbers[name], *arguments, architecture=architecture)

    assert call("truncate") == call("utimensat") == NO
    assert call("openat", -100, 1, os.O_RDONLY | os.O_TRUNC) == NO
    assert call("openat", -100, 1, os.O_RDONLY | os.O_CLOEXEC) == seccomp.ALLOW
    assert call("openat", -100, 1, os.O_WRONLY | os.O_TRUNC) == seccomp.ALLOW  # for /dev/null


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_tables_are_the_kernels(machine):
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    text = HEADERS[machine].read_text()
    theirs = {
        name.removeprefix("3264_"): int(number)
        for name, number in re.findall(r"#define __NR_?(\w+)\s+(\d+)", text)
    }
    theirs = {name.lstrip("_"): number for name, number in theirs.items()}
    theirs |= {"newfstatat": theirs.get("newfstatat", theirs.get("fstatat"))}
    ours = NUMBERS[machine] | REFUSED[machine]
    assert {name: n for name, n in ours.items() if theirs.get(name, n) != n} == {}
    assert len([name for name in ours if name in theirs]) > 100
