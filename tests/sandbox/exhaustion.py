"""Submissions that use up time, memory or patience, and how each must end."""

import sys
from dataclasses import dataclass

from tests.sandbox.judging import Job


@dataclass(frozen=True)
class Exhaustion:
    """A submission that does not end well.

    Attributes:
        name: of it.
        job: the submission.
        outcomes: of its cells that ended, the prelude not counted.
        gone: outcome and message code of the child's end; empty where it lives.
    """

    name: str
    job: Job
    outcomes: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def _one(name, *cells, outcomes=(), gone=(), seconds=0.3, **more):
    return Exhaustion(name, Job(cells=list(cells), seconds=seconds, **more), outcomes, gone)


_WALL = ("timeout", "sandbox.ended.wall")

EXHAUSTIONS = (
    _one("endless-loop", "while True: pass", "print('lives')", outcomes=("timeout", "passed")),
    _one("sleep", "import time\ntime.sleep(1000)", "1", outcomes=("timeout", "passed")),
    _one(
        "deadlock",
        "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
        "1",
        outcomes=("timeout", "passed"),
    ),
    _one(
        "swallowed-interrupt",
        # A loop of Python's own has places between its tries where an interrupt gets through.
        "count = 10**7\nkind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)\n"
        "numbers = (ctypes.c_int * count)()\n"
        "ctypes.CDLL(None).qsort(numbers, count, 4, kind(lambda one, other: 0))",
        gone=_WALL,
    ),
    _one(
        "stopped-timers",
        "import signal\nsignal.setitimer(signal.ITIMER_PROF, 0)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass",
        gone=_WALL,
    ),
    _one(
        "blocked-signals",
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\nwhile True: pass",
        gone=_WALL,
    ),
    _one(
        "ignored-signals",
        "import signal\nfor number in (signal.SIGPROF, signal.SIGALRM):\n"
        "    signal.signal(number, signal.SIG_IGN)\nwhile True: pass",
        gone=_WALL,
    ),
    _one("loop-in-c", "import itertools\nsum(itertools.repeat(0))", gone=_WALL),
    _one(
        "interrupt-in-destructor",
        "class Stays:\n    def __del__(self):\n        while True: pass\n"
        "stays = Stays()\ndel stays\nwhile True: pass",
        "1",
        outcomes=("timeout", "passed"),
    ),
    _one("exit", "import os\nos._exit(0)", gone=("crashed", "sandbox.ended.exit")),
    _one("segfault", "ctypes.string_at(0)", gone=("crashed", "sandbox.ended.signal")),
    _one("abort", "os.abort()", gone=("crashed", "sandbox.ended.signal")),
    _one(
        "deep-recursion",
        "sys.setrecursionlimit(10**8)\ndef deep(n): return [deep(n + 1)].__repr__()\n"
        "class Deep:\n    def __repr__(self): return repr(Deep())\nrepr(Deep())",
        # From 3.12 on Python notices that its own stack ends.
        **(
            {"gone": ("crashed", "sandbox.ended.signal")}
            if sys.version_info < (3, 12)
            else {"outcomes": ("raised",)}
        ),
        seconds=10,
    ),
    _one(
        "own-kill",
        "import signal\nos.kill(os.getpid(), signal.SIGKILL)",
        "1",
        outcomes=("raised", "passed"),
    ),
    _one(
        "own-stop",
        "import signal\nsignal.raise_signal(signal.SIGSTOP)",
        "1",
        outcomes=("raised", "passed"),
    ),
    _one(
        "other-machine-code",
        "import mmap\n"
        "page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)\n"
        "page.write(bytes.fromhex('b814000000cd80c3'))  # mov eax, 20; int 0x80; ret\n"
        "start = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
        "print(ctypes.CFUNCTYPE(ctypes.c_int)(start)())",
        gone=("crashed", "sandbox.ended.signal"),
    ),
    _one(
        "memory-by-and-by",
        "held = []\nwhile True: held.append(bytes(10**6))",
        "1",
        outcomes=("memory", "passed"),
        seconds=10,
    ),
    _one(
        "memory-error-swallowed",
        "held = []\nwhile True:\n    try: held.append(bytes(10**6))\n    except MemoryError: pass",
        outcomes=("timeout",),
        seconds=1,
    ),
    _one("big-number", "'x' * 10 ** 10", outcomes=("memory",), seconds=10),
    _one("output", "while True: print('x' * 10000)", outcomes=("timeout",)),
    _one("output-of-one-line", "print('x' * 10**7)", outcomes=("passed",), seconds=10),
    _one("closed-messages", "os.close(3)", gone=("crashed", "sandbox.ended.tampered")),
    _one("closed-everything", "os.closerange(0, 64)", gone=("crashed", "sandbox.ended.tampered")),
    _one(
        "silent-messages",
        "os.dup2(os.open('/dev/null', os.O_WRONLY), 3)",
        gone=("crashed", "sandbox.ended.tampered"),
    ),
    _one(
        "slow-messages",
        "import time\nos.write(3, b'\\xff\\x00\\x00\\x00')\n"
        "while True:\n    os.write(3, b'x')\n    time.sleep(0.05)",
        gone=("crashed", "sandbox.ended.tampered"),
        seconds=1,
    ),
    _one(
        "endless-message",
        "os.write(3, (2**32 - 1).to_bytes(4, 'little'))\nwhile True: os.write(3, bytes(65536))",
        gone=("crashed", "sandbox.ended.tampered"),
    ),
    _one(
        "device-arena",
        "import torch\nx = torch.empty(1 << 30, device='cuda')\nstart = x.data_ptr()\n"
        "print(system_call(10, start & ~4095, 1 << 32, 3))\nctypes.memset(start, 1, 1 << 32)",
        gone=("memory", "sandbox.ended.memory"),
        seconds=10,
    ),
)
