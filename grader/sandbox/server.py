"""The warm server: loads torch once, and forks a locked-in child for each submission.

Started by exec with a clean environment (`grader.sandbox.launch`), it never sees an answer and
never runs student code itself. It has one thread and does one thing at a time: forks when asked,
reaps, and ends children that touch more memory than they may. Several judges may share it.
"""

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NoReturn, get_args

from grader.sandbox import control, heap, jail, layers, namespaces, privileges, rlimits
from grader.sandbox.device import hide_card
from grader.sandbox.protocol import Library, Start
from grader.sandbox.wire import Channel, Gone

_HALF_BUILT = 96
"""Exit code of an attempt at namespaces that failed: nothing may run in what it left."""
_FAILED = 70
_WATCH_SECONDS = 0.1
_MEMORY_SLACK_BYTES = 128 << 20


def main(control_fd: str) -> None:
    """Serve the judge at the other end of a socket until it closes its end."""
    began = time.monotonic()
    connection = socket.socket(fileno=int(control_fd))
    privileges.hide_memory()
    _lower_core_files()
    plan = control.decode_for_server(connection.recv(control.MOST_BYTES))
    if not isinstance(plan, control.Plan):
        raise TypeError(f"the first message is {type(plan).__name__}, not a plan")
    gc.disable()  # what is loaded stays: looking for garbage in it takes a fifth of the time
    if not plan.once:
        heap.gather()
    sys.path[:] = _without_links(sys.path, plan.packages)
    prepared = jail.Jail(plan)
    if prepared.wants(layers.NAMESPACES):
        _enter_namespaces(prepared)
    device = _preload(prepared)
    jail.survey(prepared)
    _settle(prepared)
    gc.enable()
    hello = control.Hello(
        layers=tuple(name for name in layers.ALL if prepared.holds(name)),
        missing=prepared.missing,
        device=device,
        torch=str(importlib.import_module("torch").__version__),
        seconds=round(time.monotonic() - began, 3),
    )
    Server(connection, prepared, hello).serve()
    os._exit(0)  # torch takes its time to leave


def _settle(prepared: jail.Jail) -> None:
    """Make sure that what has been loaded can be forked, and make forks of it cheap.

    Raises:
        RuntimeError: it cannot be forked.
    """
    _ensure_one_thread()
    tempfile.tempdir = None  # found anew by each child
    if prepared.plan.once:
        gc.freeze()
    else:
        heap.settle()


def _lower_core_files() -> None:
    """Leave no core file: it would hold what the judge sent."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _without_links(paths: list[str], packages: tuple[str, ...]) -> list[str]:
    """Return folders of modules as they are called in the new root, where no link leads to them."""
    wanted = [*paths, *packages]
    return list(dict.fromkeys(os.path.realpath(path) for path in wanted if path))


def _enter_namespaces(prepared: jail.Jail) -> None:
    """Go on as a grandchild in namespaces of its own, or as this process where there are none.

    The attempt is a process of its own, so that a failure halfway leaves nothing behind.
    """
    reading, writing = os.pipe()
    attempt = os.fork()
    if attempt == 0:
        os.close(reading)
        _attempt_namespaces(prepared.plan, writing)
        prepared.active.append(layers.NAMESPACES)
        return
    os.close(writing)
    code = _exit_code_of(attempt)
    reason = os.read(reading, 500).decode(errors="replace")
    os.close(reading)
    if code != _HALF_BUILT:
        os._exit(code)
    prepared.missing[layers.NAMESPACES] = reason


def _attempt_namespaces(plan: control.Plan, report: int) -> None:
    """Return in the first process of the new tree, with the new root; never elsewhere."""
    try:
        privileges.die_with_parent()
        if os.getuid() != 0:
            namespaces.enter_user_namespace()
        namespaces.leave_the_rest()
        first = os.fork()
        if first:
            privileges.die_with_parent()  # the change of rights has reset it
            os._exit(_exit_code_of(first))
        privileges.die_with_parent()
        privileges.hide_memory()
        namespaces.build_root(plan.readable, covered=plan.covered, cache=plan.cache)
    except OSError as error:
        os.write(report, str(error).encode())
        os._exit(_HALF_BUILT)
    os.close(report)


def _exit_code_of(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) & 0xFF


def _preload(prepared: jail.Jail) -> str:
    """Load everything children need; return the state of the device."""
    device = _install_device(prepared.plan.core)
    importlib.import_module("grader.sandbox.child").preload(once=prepared.plan.once)
    if prepared.holds(layers.NAMESPACES):
        namespaces.close_root()
        os.environ["HOME"] = os.environ["TMPDIR"] = namespaces.OWN_FOLDER
    elif not prepared.plan.once:  # a child has no folder, which matplotlib would write to
        _load(prepared, get_args(Library))
    return device


def _load(prepared: jail.Jail, libraries: Sequence[Library]) -> bool:
    """Load libraries for all children to come; return whether one of them was new."""
    inside = prepared.holds(layers.NAMESPACES)
    cache = namespaces.CACHE_FOLDER if inside else prepared.plan.cache
    found: bool = importlib.import_module("grader.sandbox.child").load(libraries, cache=cache)
    return found


def _install_device(core: str) -> str:
    """Give this process the virtual GPU, which its children inherit; return its state."""
    if not core:
        hide_card()
        return "none"
    from grader import vgpu

    try:
        vgpu.install(core=Path(core))
    except vgpu.Unavailable as error:
        hide_card()
        return f"unavailable: {error.reason_code}"
    return "virtual"


def _take_key(descriptor: int) -> None:
    """Let the virtual GPU seal its account, where there is one; locking in closes the pipe."""
    from grader import vgpu

    if vgpu.is_installed():
        vgpu.take_key(descriptor)


def _ensure_one_thread() -> None:
    """Refuse to fork with a second thread: a lock that it holds would stay locked in children."""
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise RuntimeError(f"the warm server has {threads} threads, so it cannot fork safely")


class Server:
    """Forks children, reaps them, and watches what they touch.

    Args:
        connection: to the first judge.
        prepared: the locks.
        hello: what each judge is told first.
    """

    def __init__(
        self, connection: socket.socket, prepared: jail.Jail, hello: control.Hello
    ) -> None:
        self._jail = prepared
        self._hello = control.encode(hello)
        self._poll = select.poll()
        self._judges: dict[int, _Judge] = {}
        self._children: dict[int, _Child] = {}
        self._first = self._admit(_Judge(connection, prepared.plan.uid))

    def serve(self) -> None:
        """Serve until the first judge closes its end."""
        look = 0.0
        while self._first.is_there:
            timeout = _WATCH_SECONDS * 1000 if self._children else None
            for descriptor, _ in self._poll.poll(timeout):
                if descriptor in self._children:
                    self._reap(descriptor)
                else:
                    self._take_message(self._judges[descriptor])
            now = time.monotonic()
            if now >= look:
                look = now + _WATCH_SECONDS
                for child in self._children.values():
                    self._watch(child)

    def _admit(self, judge: "_Judge") -> "_Judge":
        self._judges[judge.connection.fileno()] = judge
        self._poll.register(judge.connection, select.POLLIN)
        judge.tell(self._hello)
        return judge

    def _dismiss(self, judge: "_Judge") -> None:
        """End the children of a judge that has closed its end."""
        for child in self._children.values():
            if child.judge is judge:
                _kill(child)
        self._poll.unregister(judge.connection)
        del self._judges[judge.connection.fileno()]
        judge.connection.close()
        judge.is_there = False

    def _take_message(self, judge: "_Judge") -> None:
        """Answer a judge's next message."""
        try:
            data, descriptors, _, _ = socket.recv_fds(judge.connection, control.MOST_BYTES, 3)
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._dismiss(judge)
            return
        message = control.decode_for_server(data)
        if isinstance(message, control.Join) and judge is self._first:
            self._admit(_Judge(socket.socket(fileno=descriptors[0]), message.uid))
            return
        if not isinstance(message, control.Fork):
            raise TypeError(f"cannot answer {type(message).__name__}")
        try:
            self._fork(judge, message, *descriptors)
        except OSError as error:
            judge.tell(control.encode(control.Trouble(text=str(error))))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _fork(
        self, judge: "_Judge", fork: control.Fork, socket_fd: int, log_fd: int, key_fd: int
    ) -> None:
        if fork.libraries and _load(self._jail, fork.libraries):
            _settle(self._jail)
            self._jail.look_at_memory()
        trees = self._jail.trees
        if trees is not None:
            trees.before_fork()
        try:
            pid = os.fork()
            if pid == 0:
                _be_child(self._jail, fork, judge.uid, socket_fd, log_fd, key_fd)
        finally:
            if trees is not None:
                trees.after_fork()
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = _Child(judge, pid, pidfd, fork, self._jail.held)
        self._poll.register(pidfd, select.POLLIN)
        judge.tell(control.encode(control.Forked(pid=pid)), pidfd)

    def _reap(self, pidfd: int) -> None:
        child = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(child.pid, 0)
        ended = control.Ended(
            pid=child.pid,
            status=os.waitstatus_to_exitcode(status),
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_bytes=usage.ru_maxrss * 1024,
            over=child.over,
        )
        child.judge.tell(control.encode(ended))

    def _watch(self, child: "_Child") -> None:
        """End a child that has touched more memory or has more threads than it may."""
        held = child.held
        if held is None:
            return
        try:
            touched = rlimits.touched_bytes(child.pid)
            threads = rlimits.thread_count(child.pid)
        except OSError:
            return  # it is ending
        if touched > held.touched_bytes + child.fork.memory_bytes + _MEMORY_SLACK_BYTES:
            child.over = "memory"
        elif threads > rlimits.most_threads(child.fork.threads):
            child.over = "threads"
        else:
            return
        _kill(child)


class _Judge:
    """The server's end of a judge's socket."""

    __slots__ = ("connection", "is_there", "uid")

    def __init__(self, connection: socket.socket, uid: int) -> None:
        self.connection = connection
        self.uid = uid
        self.is_there = True

    def tell(self, message: bytes, *descriptors: int) -> None:
        """Send a message; one that has gone is noticed when its end is read."""
        if self.is_there:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(self.connection, [message], descriptors)


class _Child:
    __slots__ = ("fork", "held", "judge", "over", "pid", "pidfd")

    def __init__(
        self,
        judge: _Judge,
        pid: int,
        pidfd: int,
        fork: control.Fork,
        held: rlimits.HeldByServer | None,
    ) -> None:
        self.judge = judge
        self.pid = pid
        self.pidfd = pidfd
        self.fork = fork
        self.held = held
        self.over: Literal["", "memory", "threads"] = ""


def _kill(child: _Child) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)


def _be_child(
    prepared: jail.Jail, fork: control.Fork, uid: int, socket_fd: int, log_fd: int, key_fd: int
) -> NoReturn:
    """Lock this process in and serve the judge from it; ends with the process."""
    code = control.CHILD_FAILED
    try:
        _take_key(key_fd)
        jail.lock_down(prepared, fork, uid, socket_fd=socket_fd, log_fd=log_fd)
        channel = Channel(jail.SOCKET)
        start = channel.receive()
        if not isinstance(start, Start):
            raise TypeError(f"the first message is {type(start).__name__}, not a start")
        from grader.sandbox import child

        child.run(channel, start, jail.LOG)
        code = 0
    except Gone:
        code = 0  # the judge has no more questions
    except BaseException:  # noqa: BLE001 - nothing may return into the server's loop
        os.write(2, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(code)
