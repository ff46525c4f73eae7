"""Hostile submissions by name: what each tries, and what it prints if it gets it.

A submission has won if it prints ``WON``: the names `won`, `found`, `system_call`, `PLACES` and
`MARK` are there for it (`tests.sandbox.judging`). `CONTROL` says where it does win, so that none is
held for a reason of its own: with the locks off, or the naive way, by `exec` inside the judge.
"""

from dataclasses import dataclass

OPEN = "open"
"""The control is a child without any lock."""
INSIDE = "inside"
"""The control is the code run in a fork of the judge itself, as a grader without sandbox would."""


@dataclass(frozen=True)
class Attack:
    """A hostile submission.

    Attributes:
        name: of the attack.
        tries: what it wants.
        cells: its cells.
        later: cells of the submission that comes after it, where that is to gain something.
        control: where it works.
        styles: how its cells run.
        as_root: whether the control needs root.
        machine_may_refuse: whether a machine may refuse it without any lock of ours, so that there
            is no control there.
    """

    name: str
    tries: str
    cells: tuple[str, ...]
    later: tuple[str, ...] = ()
    control: str = OPEN
    styles: tuple[str, ...] = ("script", "notebook")
    as_root: bool = False
    machine_may_refuse: bool = False


def _attack(name: str, tries: str, code: str, **more: object) -> Attack:
    return Attack(name=name, tries=tries, cells=(code,), **more)


def _notebook(name: str, tries: str, *cells: str, **more: object) -> Attack:
    return Attack(name=name, tries=tries, cells=cells, styles=("notebook",), **more)


_FILES = [
    _attack("passwd", "read a file of the system", "won(open('/etc/passwd').read(5))"),
    _attack(
        "solution", "read the solution of the assignment", "found(open(PLACES['solution']).read())"
    ),
    _attack(
        "import-solution",
        "import the solution",
        "sys.path.insert(0, os.path.dirname(PLACES['solution']))\n"
        "import solution\nfound(solution.ANSWER)",
    ),
    _attack(
        "other-submission",
        "read what another student handed in",
        "found(open(PLACES['other']).read())",
    ),
    _attack("home", "read the home of whoever grades", "found(open(PLACES['home']).read())"),
    _attack(
        "gradebook",
        "change the gradebook",
        "file = open(PLACES['gradebook'], 'r+')\nwon('open for writing')",
    ),
    _attack(
        "gradebook-truncate",
        "empty the gradebook by its path",
        "size = os.stat(PLACES['gradebook']).st_size\n"
        "os.truncate(PLACES['gradebook'], size)\nwon(size)",
    ),
    _attack(
        "gradebook-times",
        "change the times of the gradebook",
        "os.utime(PLACES['gradebook'], (1, 1))\nwon()",
    ),
    _attack(
        "gradebook-empty",
        "empty the gradebook by opening it for reading",
        "os.close(os.open(PLACES['drop'] + '/../out/gradebook.db', os.O_RDONLY | os.O_TRUNC))\n"
        "won()",
    ),
    _attack(
        "gradebook-mode",
        "open the gradebook to everyone",
        "os.chmod(PLACES['gradebook'], 0o600)\nwon()",
    ),
    _attack(
        "gradebook-move",
        "move the gradebook away and back",
        "os.rename(PLACES['gradebook'], PLACES['gradebook'] + '.x')\nwon()\n"
        "os.rename(PLACES['gradebook'] + '.x', PLACES['gradebook'])",
    ),
    _attack(
        "judge-source",
        "read the source of the checks",
        "won(open(PLACES['package'] + '/judge.py').read(3))",
    ),
    _attack(
        "list-root",
        "see what lies at the root",
        "names = os.listdir('/')\nif 'sys' in names: won(names)",
    ),
    _attack(
        "walk",
        "find the solution by walking the disk",
        "top = os.path.dirname(os.path.dirname(PLACES['solution']))\n"
        "for folder, _, files in os.walk(top):\n"
        "    if 'solution.py' in files: won(folder)",
    ),
    _attack(
        "openat2",
        "open a file by a newer system call",
        "import struct\nhow = ctypes.create_string_buffer(struct.pack('QQQ', 0, 0, 0), 24)\n"
        "fd = system_call(437, -100, b'/etc/passwd', how, 24)\n"
        "if fd >= 0: won(os.read(fd, 5))",
    ),
    _attack(
        "symlink",
        "read a file through a link of its own",
        "for folder in (os.getcwd(), PLACES['drop'], '/tmp', '/scratch'):\n"
        "    link = os.path.join(folder, f'link-{os.getpid()}')\n"
        "    try:\n"
        "        os.symlink('/etc/passwd', link)\n"
        "        won(open(link).read(5))\n"
        "        os.unlink(link)\n"
        "        break\n"
        "    except OSError as error: print(error)",
    ),
    _attack(
        "hard-link",
        "keep the solution under another name",
        "os.link(PLACES['solution'], PLACES['drop'] + f'/hard-{os.getpid()}')\nwon()",
    ),
    _attack(
        "proc-environ",
        "read the environment of the judge",
        "found(open(f\"/proc/{PLACES['judge']}/environ\", 'rb').read())",
        as_root=True,
    ),
    _attack(
        "proc-command",
        "read the command line of the judge",
        "won(open(f\"/proc/{PLACES['judge']}/cmdline\").read())",
    ),
    _attack(
        "proc-list",
        "see the processes of the machine",
        "others = [n for n in os.listdir('/proc') if n.isdigit() and int(n) > 2]\n"
        "if str(PLACES['judge']) in others: won(others)",
    ),
    _attack(
        "proc-self",
        "read about itself, its mounts and its limits",
        "won(open('/proc/self/mountinfo').read(40))",
    ),
    _attack(
        "proc-network", "see the connections of the machine", "won(open('/proc/net/tcp').read(20))"
    ),
    _attack("sys", "read about the machine", "won(os.listdir('/sys/kernel'))"),
    _attack(
        "write-tmp",
        "write where everyone may",
        "path = f'/tmp/note-{os.getpid()}'\n"
        "for path in (path, PLACES['drop'] + '/note'):\n"
        "    with open(path, 'w') as file: file.write('x')\n"
        "    won(path)\n"
        "    os.unlink(path)",
    ),
    _attack(
        "write-library",
        "leave a module among the libraries",
        "import numpy\npath = os.path.dirname(numpy.__file__) + f'/left_{os.getpid()}.py'\n"
        "with open(path, 'w') as file: file.write('x')\nwon(path)\nos.unlink(path)",
        as_root=True,
    ),
    _attack(
        "write-package",
        "change the grader itself",
        "file = open(PLACES['package'] + '/sandbox/child.py', 'r+')\nwon('open for writing')",
        as_root=True,
    ),
    _attack(
        "device-node",
        "make a device",
        "path = PLACES['drop'] + '/memory'\nos.mknod(path, 0o020600, os.makedev(1, 3))\n"
        "won()\nos.unlink(path)",
        as_root=True,
    ),
    _attack(
        "fifo",
        "make a pipe with a name",
        "path = PLACES['drop'] + f'/fifo-{os.getpid()}'\nos.mkfifo(path)\nwon()\nos.unlink(path)",
    ),
    _attack("chroot", "take another root", "os.chroot('/')\nwon()", as_root=True),
    _attack(
        "big-file",
        "fill the disk",
        "path = PLACES['drop'] + '/big'\n"
        "for path in (path, 'big'):\n"
        "    try:\n"
        "        with open(path, 'wb') as file:\n"
        "            for _ in range(200): file.write(bytes(1 << 20))\n"
        "        won(path)\n"
        "    except OSError as error: print(error)\n"
        "    finally:\n"
        "        try: os.unlink(path)\n"
        "        except OSError: pass",
    ),
    _attack(
        "many-files",
        "use up the files of the disk",
        "made = []\n"
        "try:\n"
        "    for n in range(3000):\n"
        "        path = PLACES['drop'] + f'/{n}' if os.access(PLACES['drop'], os.W_OK) else str(n)\n"
        "        open(path, 'w').close()\n"
        "        made.append(path)\n"
        "    won(len(made))\n"
        "finally:\n"
        "    for path in made: os.unlink(path)",
    ),
]

_MEMORY = [
    _attack(
        "environment",
        "find a secret in its environment",
        "for name, value in os.environ.items(): found(f'{name}={value}')\n"
        "block = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), 'environ')\n"
        "n = 0\n"
        "while block[n]: found(block[n]); n += 1",
        control=INSIDE,
    ),
    _attack(
        "descriptors",
        "read what is open in the judge",
        "for fd in range(4, 1024):\n"
        "    try:\n"
        "        os.fstat(fd)\n"
        "        won(fd)\n"
        "    except OSError: pass",
        control=INSIDE,
    ),
    _attack(
        "collector",
        "find the answer among all objects",
        "import gc\nfound_ones = []\n"
        "for thing in gc.get_objects():\n"
        "    try: values = list((thing if type(thing) is dict else vars(thing)).values())\n"
        "    except Exception: continue\n"
        "    found_ones += [v for v in values if type(v) is str and v.startswith(MARK) and v != MARK]\n"
        "if found_ones: found(found_ones[0])",
        control=INSIDE,
    ),
    _attack(
        "frames",
        "find the answer in the frames that called it",
        "def inside(value): return list(getattr(value, '__dict__', {}).values())\n"
        "frame = sys._getframe()\n"
        "while frame is not None:\n"
        "    for value in list(frame.f_locals.values()):\n"
        "        for inner in inside(value):\n"
        "            for text in (value, inner, *inside(inner)):\n"
        "                if type(text) is str and text.startswith(MARK) and text != MARK: found(text)\n"
        "    frame = frame.f_back\n",
        control=INSIDE,
        styles=("script",),
    ),
    _attack(
        "modules",
        "find the answer in loaded modules of the grader",
        "for name in ('grader.judge', 'grader.checks', 'tests.sandbox.judging', 'grader.model'):\n"
        "    if name in sys.modules and hasattr(sys.modules[name], '__file__'): won(name)",
        control=INSIDE,
    ),
    _attack(
        "own-memory",
        "scan its own memory for the answer",
        "import re\n"
        "try: maps = open('/proc/self/maps').read()\n"
        "except OSError: maps = ''\n"
        "wanted = re.compile(MARK.encode() + b'-[0-9a-f]{16}')\n"
        "for line in maps.splitlines():\n"
        "    fields = line.split()\n"
        "    start, end = (int(x, 16) for x in fields[0].split('-'))\n"
        "    if fields[1].startswith('rw') and end - start < 1 << 28 and '[v' not in line:\n"
        "        hit = wanted.search(ctypes.string_at(start, end - start))\n"
        "        if hit: won(hit.group()); break",
        control=INSIDE,
    ),
    _attack(
        "address",
        "read the judge's memory at the judge's address",
        "import subprocess\n"
        "with open(f\"/proc/{PLACES['judge']}/mem\", 'rb', 0) as memory:\n"
        "    memory.seek(PLACES['address'])\n"
        "    found(memory.read(200))",
        as_root=True,
    ),
    _attack(
        "process-vm-readv",
        "read the judge's memory by a system call",
        "class Range(ctypes.Structure): _fields_ = [('a', ctypes.c_void_p), ('n', ctypes.c_size_t)]\n"
        "buffer = ctypes.create_string_buffer(200)\n"
        "mine, theirs = Range(ctypes.addressof(buffer), 200), Range(PLACES['address'], 200)\n"
        "got = system_call(310, PLACES['judge'], ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)\n"
        "found(buffer.raw)\nprint(got)",
        as_root=True,
    ),
    _attack(
        "ptrace",
        "trace the judge",
        "if system_call(101, 0x4206, PLACES['judge'], None, None) >= 0:\n"
        "    won()\n    system_call(101, 17, PLACES['judge'], None, None)",
        as_root=True,
    ),
    _attack(
        "pidfd-getfd",
        "take a descriptor from the judge",
        "pidfd = system_call(434, PLACES['judge'], 0)\n"
        "for number in range(3, 20):\n"
        "    if pidfd >= 0 and system_call(438, pidfd, number, 0) >= 0: won(number); break",
        as_root=True,
    ),
    _attack(
        "too-much-private",
        "take more memory than allowed",
        "import mmap\n"
        "held = mmap.mmap(-1, 3 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "won(len(held))",
    ),
    _attack(
        "too-much-shared",
        "take memory that is shared, which no limit of data counts",
        "import mmap\nheld = mmap.mmap(-1, 64 << 20)\nwon(len(held))",
    ),
    _attack(
        "memory-file",
        "take memory as a file",
        "fd = os.memfd_create('x')\nos.ftruncate(fd, 1 << 30)\nwon(fd)",
    ),
    _attack(
        "growing-stack",
        "take memory that grows downward by itself",
        "if system_call(9, 0, 4096, 3, 0x122, -1, 0) > 0: won()",
    ),
    _attack(
        "arrays",
        "take memory by numpy",
        "import numpy\nheld = [numpy.ones(25 << 20) for _ in range(2)]\nwon(len(held))",
    ),
    _attack(
        "tensors",
        "take memory by torch",
        "import torch\nheld = [torch.ones(50 << 20) for _ in range(2)]\nwon(len(held))",
    ),
    _attack(
        "raise-limits",
        "raise its own limits",
        "import resource\n"
        "for which in (resource.RLIMIT_DATA, resource.RLIMIT_AS, resource.RLIMIT_CPU):\n"
        "    resource.setrlimit(which, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "won(resource.getrlimit(resource.RLIMIT_DATA))",
    ),
    _attack(
        "lock-memory",
        "pin memory so that it cannot be taken back",
        "data = ctypes.create_string_buffer(1 << 20)\n"
        "if system_call(149, ctypes.addressof(data), 1 << 20) == 0: won()",
    ),
    _attack(
        "flood-descriptors",
        "write without end to its standard output",
        "total = 0\n"
        "for _ in range(64): total += os.write(1, bytes(65536))\n"
        "if total > 1 << 20: won(total)",
        control=INSIDE,
    ),
]

_PROCESSES = [
    _attack(
        "fork",
        "start a process",
        "pid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)\nwon(pid)",
    ),
    _attack(
        "fork-bomb",
        "start many processes",
        "pids = []\n"
        "for _ in range(40):\n"
        "    pid = os.fork()\n"
        "    if pid == 0: os._exit(0)\n"
        "    pids.append(pid)\n"
        "for pid in pids: os.waitpid(pid, 0)\n"
        "won(len(pids))",
    ),
    _attack(
        "daemon",
        "leave a process behind that lives on",
        "import time\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(1)\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\nwon(pid)",
    ),
    _attack(
        "fork-calls",
        "start a process by each of the system calls for it",
        "for number, arguments in ((57, ()), (56, (17, 0, 0, 0, 0))):\n"
        "    pid = system_call(number, *arguments)\n"
        "    if pid == 0: os._exit(0)\n"
        "    if pid > 0: won(number)",
    ),
    _attack(
        "clone3",
        "start a process by a call whose flags no filter can read",
        "import struct\n"
        "block = ctypes.create_string_buffer(struct.pack('8Q', 0, 0, 0, 0, 17, 0, 0, 0), 64)\n"
        "pid = system_call(435, block, 64)\n"
        "if pid == 0: os._exit(0)\n"
        "if pid > 0: won(pid)",
    ),
    _attack(
        "execute",
        "become another program",
        "sys.stdout.flush()\n"
        "for path in ('/bin/echo', '/usr/bin/echo'):\n"
        "    try: os.execv(path, ['echo', 'WON'])\n"
        "    except OSError as error: print(error)",
    ),
    _attack(
        "execute-loader",
        "become another program through the loader of libraries",
        "import glob\n"
        "for loader in glob.glob('/lib64/ld-linux*') + glob.glob('/lib/ld-linux*'):\n"
        "    try: os.execv(loader, [loader, '/bin/echo', 'WON'])\n"
        "    except OSError as error: print(error)",
    ),
    _attack(
        "execute-own",
        "run a program that it wrote itself",
        "for folder in (os.getcwd(), PLACES['drop'], '/scratch'):\n"
        "    path = os.path.join(folder, f'program-{os.getpid()}')\n"
        "    try:\n"
        "        with open(path, 'w') as file: file.write('#!/bin/sh\\nrm -f $0\\necho WON\\n')\n"
        "        os.chmod(path, 0o755)\n"
        "        os.execv(path, [path])\n"
        "    except OSError as error: print(error)",
    ),
    _attack(
        "subprocess",
        "run a command",
        "import subprocess\nwon(subprocess.run(['echo', 'x'], capture_output=True).stdout)",
    ),
    _attack("system", "run a command by the shell", "if os.system('true') == 0: won()"),
    _attack(
        "spawn",
        "run a command by posix_spawn",
        "pid = os.posix_spawn('/bin/true', ['true'], {})\nos.waitpid(pid, 0)\nwon(pid)",
    ),
    _attack(
        "multiprocessing",
        "start a worker",
        "import multiprocessing\n"
        "worker = multiprocessing.get_context('fork').Process(target=print)\n"
        "worker.start()\nworker.join()\nwon(worker.pid)",
    ),
    _attack("terminal", "open a terminal", "import pty\nwon(pty.openpty())"),
    _attack("kill-judge", "end the judge", "os.kill(PLACES['judge'], 0)\nwon()"),
    _attack(
        "kill-parent",
        "end the server",
        "if os.getppid() > 0:\n    os.kill(os.getppid(), 0)\n    won(os.getppid())",
    ),
    _attack("kill-all", "end everything that it may", "os.kill(-1, 0)\nwon()"),
    _attack(
        "kill-thread",
        "signal the judge by calls for threads",
        "for number, arguments in ((200, (PLACES['judge'], 0)),\n"
        "                          (234, (PLACES['judge'], PLACES['judge'], 0))):\n"
        "    if system_call(number, *arguments) == 0: won(number)",
    ),
    _attack(
        "kill-by-descriptor",
        "signal the judge through a descriptor of it",
        "pidfd = system_call(434, PLACES['judge'], 0)\n"
        "if pidfd >= 0 and system_call(424, pidfd, 0, None, 0) == 0: won(pidfd)",
    ),
    _attack(
        "slow-judge",
        "give the judge the worst priority, or one processor",
        "parents = {PLACES['judge'], os.getppid()}\n"
        "for pid in parents - {0}:\n"
        "    try:\n"
        "        os.setpriority(os.PRIO_PROCESS, pid, 19 if pid == os.getpid() else os.getpriority(os.PRIO_PROCESS, pid))\n"
        "        won('priority')\n"
        "    except OSError as error: print(error)\n"
        "    try:\n"
        "        os.sched_setaffinity(pid, os.sched_getaffinity(pid))\n"
        "        won('affinity')\n"
        "    except OSError as error: print(error)",
    ),
    _attack(
        "thread-bomb",
        "start hundreds of threads",
        "import threading, time\n"
        "threading.stack_size(64 << 10)\nstop = threading.Event()\nmade = []\n"
        "try:\n"
        "    for _ in range(600):\n"
        "        made.append(threading.Thread(target=stop.wait, daemon=True))\n"
        "        made[-1].start()\n"
        "    time.sleep(0.5)\n"
        "    won(len(made))\n"
        "except RuntimeError as error: print(len(made), error)\n"
        "finally: stop.set()",
        styles=("script",),
    ),
    _attack(
        "outlive",
        "have nothing end it with its parent",
        "if ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) == 0: won()",
    ),
    _attack(
        "dumpable",
        "let others look into it",
        "if ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == 0: won()",
    ),
    _attack("be-root", "become root again", "os.setuid(0)\nwon(os.getuid())", as_root=True),
    _attack(
        "other-user",
        "become another user",
        "os.setresuid(12345, 12345, 12345)\nwon(os.getuid())",
        as_root=True,
    ),
]

_NETWORK = [
    _attack(
        "tcp",
        "connect to a server",
        "import socket\nwith socket.create_connection(('127.0.0.1', PLACES['port']), 2): won()",
    ),
    _attack(
        "udp",
        "send a packet",
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "won(s.sendto(b'x', ('127.0.0.1', 9)))",
    ),
    _attack(
        "tcp6",
        "have a socket of the newer internet",
        "import socket\nwon(socket.socket(socket.AF_INET6))",
    ),
    _attack(
        "listen",
        "be a server",
        "import socket\ns = socket.create_server(('127.0.0.1', 0))\nwon(s.getsockname())",
    ),
    _attack(
        "names",
        "look up a name",
        "import socket\nwon(socket.getaddrinfo('localhost', 80))",
        machine_may_refuse=True,
    ),
    _attack(
        "unix",
        "connect to a socket with a path",
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(2)\n"
        "s.connect(PLACES['drop'] + '/socket')\nwon()",
    ),
    _attack(
        "abstract",
        "connect to a socket with an abstract name",
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(2)\n"
        "s.connect('\\0' + PLACES['abstract'])\nwon()",
    ),
    _attack(
        "send-from-pair",
        "send elsewhere from one of a pair, which it may have",
        "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "won(a.sendto(b'x', '\\0' + PLACES['abstract'] + '-packets'))",
    ),
    _attack(
        "connect-pair",
        "connect an end of a pair elsewhere",
        "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "a.connect('\\0' + PLACES['abstract'] + '-packets')\nwon()",
    ),
    _attack(
        "netlink",
        "ask the kernel about the network",
        "import socket\nwon(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))",
    ),
    _attack(
        "vsock",
        "talk to the host of a virtual machine",
        "import socket\nwon(socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))",
        machine_may_refuse=True,
    ),
    _attack(
        "raw-packets",
        "send raw packets",
        "import socket\nwon(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))",
        as_root=True,
    ),
    _attack(
        "kernel-cryptography",
        "reach the kernel's cryptography",
        "import socket\nwon(socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))",
        machine_may_refuse=True,
    ),
    _attack(
        "http",
        "fetch a page",
        "import urllib.request\n"
        "try: urllib.request.urlopen(f\"http://127.0.0.1:{PLACES['port']}/\", timeout=1)\n"
        "except OSError as error: won() if 'timed out' in str(error) else print(error)",
    ),
    _attack(
        "pass-descriptor",
        "send a descriptor over a socket",
        "import socket\na, b = socket.socketpair()\nsocket.send_fds(a, [b'x'], [0])\nwon()",
    ),
]


def _raw(name: str, tries: str, number: int, *arguments: object, root: bool = False) -> Attack:
    """A system call that the kernel must not even look at: EPERM or ENOSYS, whatever it means."""
    passed = ", ".join(map(repr, arguments))
    code = (
        f"result = system_call({number}, {passed})\n"
        "if result not in (-1, -38): won(result)\nelse: print(result)"
    )
    return _attack(name, tries, code, as_root=root, machine_may_refuse=True, styles=("script",))


_NULL = None
_KERNEL = [
    _raw("io-uring", "make system calls past the filter", 425, 1, bytes(120)),
    _raw("bpf", "load a program into the kernel", 321, 0, bytes(64), 64),
    _raw("user-namespace", "be root in a namespace of its own", 272, 0x10000000),
    _raw("mount-namespace", "have mounts of its own", 272, 0x20000, root=True),
    _raw("setns", "enter another namespace", 308, 0, 0),
    _raw("mount", "mount a file system", 165, b"x", b"/tmp", b"nothing", 0, _NULL, root=True),
    _raw("unmount", "take a mount away", 166, b"/nothing", 0, root=True),
    _raw("new-mount", "mount by the newer calls", 430, b"nothing", 0, root=True),
    _raw("pivot-root", "take another root", 155, b"/nothing", b"/nothing", root=True),
    _raw("perf", "measure other processes", 298, bytes(128), 0, -1, -1, 0),
    _raw("keyring", "leave a key for the next", 248, b"user", b"note", b"x", 1, -3),
    _raw("keyctl", "read keys", 250, 0, -3, 0, 0, 0),
    _raw("request-key", "ask for a key", 249, b"user", b"note", _NULL, 0),
    _raw("userfaultfd", "handle page faults, as exploits do", 323, 1),
    _raw("trace-me", "be traced", 101, 0, 0, 0, 0),
    _raw("shared-memory", "leave shared memory for the next", 29, 0x5A5A, 4096, 0o1600),
    _raw("semaphores", "leave semaphores for the next", 64, 0x5A5A, 1, 0o1600),
    _raw("messages", "leave messages for the next", 68, 0x5A5A, 0o1600),
    _raw("message-queue", "leave a queue for the next", 240, b"note", 0o100, 0o600, _NULL),
    _raw("personality", "change how addresses are laid out", 135, 0xFFFFFFFF),
    _raw(
        "handle", "open a file by its handle, past every folder", 304, -100, bytes(64), 0, root=True
    ),
    _raw("name-handle", "learn the handle of a file", 303, -100, b"/", bytes(64), bytes(8), 0),
    _raw("inotify", "watch files", 294, 0),
    _raw("fanotify", "watch all files", 300, 0, 0, root=True),
    _raw("splice", "move data without seeing it", 275, 0, _NULL, 1, _NULL, 1, 0),
    _raw("vmsplice", "give pages away", 278, 1, _NULL, 0, 0),
    _raw("copy-range", "copy between files", 326, 0, _NULL, 1, _NULL, 1, 0),
    _raw("move-pages", "move another process's pages", 279, 0, 0, _NULL, _NULL, _NULL, 0),
    _raw("kcmp", "compare what two processes hold", 312, 1, 1, 0, 0, 0, root=True),
    _raw("local-descriptors", "change the tables of segments", 154, 0, _NULL, 0),
    _raw("io-ports", "reach the machine's ports", 173, 0, 1, 1, root=True),
    _raw("io-level", "reach the machine's ports", 172, 3, root=True),
    _raw("kernel-log", "read the kernel's log", 103, 10, _NULL, 0),
    _raw("host-name", "name the machine", 170, b"x" * 8, 100, root=True),
    _raw("swap", "use a file as memory", 167, b"/nothing", 0, root=True),
    _raw("module", "load a driver", 313, -1, b"", 0, root=True),
    _raw("kexec", "load another kernel", 246, 0, 0, _NULL, 0xFFFF, root=True),
    _raw("accounting", "write accounts of processes", 163, b"/nothing", root=True),
    _raw("clock", "change the clock", 305, 99, bytes(256)),
    _raw("timer", "make timers that signal", 222, 99, _NULL, _NULL),
    _raw("capabilities", "take rights back", 126, bytes(8), _NULL),
    _raw("robust-list", "learn addresses of another process", 274, 0, bytes(8), bytes(8)),
    _raw("process-madvise", "advise on another process's memory", 440, -1, _NULL, 0, 0, 0),
    _raw("secret-memory", "have memory that nobody sees", 447, 0),
    _raw("extended-attributes", "mark files", 188, b"/nothing", b"user.x", b"x", 1, 0),
    _raw("owner", "give files away", 92, b"/nothing", 0, 0),
    _raw("queue-signal", "send a signal with data", 129, 1, 0, bytes(128), root=True),
    _raw("priority-class", "have the machine to itself", 144, 0, 99, bytes(8)),
    _raw("io-priority", "change how disks serve others", 251, 9, 0, 0),
    _raw("quota", "change quotas", 179, 0xFFFF, _NULL, 0, _NULL),
    _raw("other-convention", "make a call by the numbers of x32", 0x40000000 | 39),
]

_NOTEBOOK = [
    _notebook("shell-command", "run a command of the shell", "!echo W''ON", control=INSIDE),
    _notebook(
        "shell-capture",
        "run a command and take what it prints",
        "lines = !echo x\nif list(lines) == ['x']: won()",
        control=INSIDE,
    ),
    _notebook("bash-cell", "run a whole cell by the shell", "%%bash\necho W''ON", control=INSIDE),
    _notebook(
        "script-cell",
        "run a whole cell by another program",
        "%%script sh\necho W''ON",
        control=INSIDE,
    ),
    _notebook(
        "get-ipython-system",
        "run a command by the shell's own method",
        "get_ipython().system_raw('echo W''ON')",
        control=INSIDE,
    ),
    _notebook(
        "run-file",
        "run a file of the disk",
        "%run $PLACES['solution']",
        "found(str(globals().get('ANSWER', '')))",
        "get_ipython().run_line_magic('run', PLACES['solution'])",
        "found(str(globals().get('ANSWER', '')))",
        control=INSIDE,
    ),
    _notebook(
        "write-file",
        "write a file by a magic",
        "name = PLACES['drop'] + '/written'",
        "get_ipython().run_cell_magic('writefile', name, 'x')\nif os.path.exists(name): won()",
        control=INSIDE,
    ),
    _notebook(
        "show-file",
        "show a file by a magic",
        "get_ipython().run_line_magic('pycat', PLACES['solution'])\n"
        "get_ipython().run_line_magic('load', PLACES['solution'])\n"
        "found(open(PLACES['solution']).read())",
        control=INSIDE,
    ),
    _notebook(
        "environment-magic",
        "see the environment by a magic",
        "for key, value in (get_ipython().run_line_magic('env', '') or {}).items(): found(str(value))",
        control=INSIDE,
    ),
    _notebook(
        "bind-shell-system",
        "put the shell's own methods back",
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        "shell = get_ipython()\n"
        "for kind in type(shell).__mro__:\n"
        "    if kind.__name__ == 'InteractiveShell': kind.system_raw(shell, 'echo W''ON')",
        control=INSIDE,
    ),
]


_NOTES = [
    Attack(
        "note-in-file",
        "leave a file for the next submission",
        (
            "for folder in (PLACES['drop'], '/tmp', '/dev/shm', os.getcwd(), '/scratch', '/'):\n"
            "    try: open(os.path.join(folder, 'left-note'), 'w').write('x')\n"
            "    except OSError as error: print(error)",
        ),
        (
            "for folder in (PLACES['drop'], '/tmp', '/dev/shm', os.getcwd(), '/scratch', '/'):\n"
            "    path = os.path.join(folder, 'left-note')\n"
            "    if os.path.exists(path):\n"
            "        os.unlink(path)\n"
            "        won(path)",
        ),
    ),
    Attack(
        "note-in-shared-memory",
        "leave shared memory for the next submission",
        ("print(system_call(29, 0x6B6B, 4096, 0o1666))",),
        (
            "number = system_call(29, 0x6B6B, 4096, 0)\n"
            "if number >= 0:\n"
            "    system_call(31, number, 0, None)\n"
            "    won(number)",
        ),
    ),
    Attack(
        "note-in-builtins",
        "leave a changed builtin for the next submission",
        ("import builtins\nbuiltins.note = 'x'",),
        ("import builtins\nif hasattr(builtins, 'note'): won()",),
        control=INSIDE,
    ),
    Attack(
        "note-in-torch",
        "leave a changed torch for the next submission",
        ("import torch\ntorch.Tensor.note = 'x'\ntorch.manual_seed(7)",),
        ("import torch\nif hasattr(torch.Tensor, 'note'): won()",),
        control=INSIDE,
    ),
    Attack(
        "note-in-environment",
        "leave a variable of the environment for the next submission",
        ("os.environ['NOTE'] = 'x'",),
        ("if 'NOTE' in os.environ: won()",),
        control=INSIDE,
    ),
    Attack(
        "note-in-thread",
        "leave a thread that waits for the next submission",
        (
            "import threading, time\n"
            "threading.Thread(target=time.sleep, args=(2,), name='left', daemon=True).start()",
        ),
        ("import threading\nif any(t.name == 'left' for t in threading.enumerate()): won()",),
        control=INSIDE,
    ),
    Attack(
        "note-in-socket",
        "leave a socket with a name for the next submission",
        (
            "import socket\nleft = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            "left.bind('\\0left-note')",
        ),
        (
            "import socket\nthere = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            "there.connect('\\0left-note')\nwon()",
        ),
        control=INSIDE,
    ),
]

ATTACKS: tuple[Attack, ...] = (
    *_FILES, *_MEMORY, *_PROCESSES, *_NETWORK, *_KERNEL, *_NOTEBOOK, *_NOTES
)  # fmt: skip
