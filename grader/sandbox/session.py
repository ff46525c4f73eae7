"""The judge's way into the sandbox: a server that is warm, and children that come from it.

    with Server() as server:
        with server.spawn(start, limits) as child:
            done = child.run_cell(cell, seconds_wall=60)

    Exception
    +-- ChildGone     the student's code ended the child: timeout, memory or crashed
    +-- ChildFailed   our own code in the child failed
    +-- ServerFailed  the sandbox failed, which is ours

On Linux a warm server forks a locked-in child for each submission. Where a fork is not safe, each
submission gets a fresh process without locks, and `Server.layers` says so.
"""

import contextlib
import socket
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from grader.model import Limits
from grader.sandbox import control, launch, layers, privileges
from grader.sandbox.child_session import ChildSession, Process
from grader.sandbox.ending import ChildFailed, ChildGone, ServerFailed
from grader.sandbox.forking import ForkServer, OwnForkServer, ServerGone, door
from grader.sandbox.fresh import FreshServer
from grader.sandbox.protocol import Library, Start
from grader.vgpu.build import Unavailable, ensure

__all__ = ["FORKS", "ChildFailed", "ChildGone", "ChildSession", "Server", "ServerFailed", "door"]


Given = TypeVar("Given")

FORKS = sys.platform.startswith("linux")
"""Whether a fork is safe here."""


class Server:
    """A warm server, a context manager; it gets warm while the caller goes on.

    Args:
        unsafe: serve even where the machine cannot lock other people's work in.
        device: whether children have a virtual GPU.
        real: whether children use the machine's own card instead; they hold no locks then.
        use_layers: layers to use where the machine has them.
        fork: whether children are forked; by default where a fork is safe.
        once: whether it serves one submission or a few, whose start matters more than their run:
            nothing is rehearsed then.
        shared: the judge's end of a `door` to a server that another process has started with the
            same arguments; where that one fails, this one starts a server of its own.
    """

    def __init__(
        self,
        *,
        unsafe: bool = False,
        device: bool = True,
        real: bool = False,
        use_layers: tuple[str, ...] = layers.ALL,
        fork: bool = FORKS,
        once: bool = False,
        shared: socket.socket | None = None,
    ) -> None:
        self._once = once
        self._unsafe = unsafe
        self._use_layers = use_layers
        self._real = real
        self._fork = fork and not real
        self._imported: set[Library] = set()  # by children
        self._loaded: set[Library] = set()  # by the server
        self._feared: set[Library] = set()
        self._core, self._unavailable = _find_core() if device and not real else ("", "")
        with contextlib.suppress(OSError, AttributeError):
            privileges.hide_memory()  # a child of the same user may not look into the judge
        self._process: ForkServer | FreshServer
        self._process = self._start() if shared is None else ForkServer(shared)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wait(self) -> None:
        """Wait until the server is warm.

        Raises:
            ServerFailed: it does not get warm, or the machine cannot lock other people's work in,
            which no machine can where they use its own card.
        """
        if self._real and not self._unsafe:
            raise ServerFailed("sandbox.real-card")
        active = self._greeted().layers
        if not self._unsafe and not layers.can_grade_others(active):
            missing = ", ".join(name for name in layers.ALL if name not in active)
            raise ServerFailed("sandbox.too-weak", {"missing": missing})

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that hold; see `grader.sandbox.layers`."""
        self.wait()
        return self._greeted().layers

    @property
    def missing(self) -> dict[str, str]:
        """Why each of the other layers does not hold, in the system's words."""
        self.wait()
        return dict(self._greeted().missing)

    @property
    def device(self) -> str:
        """``virtual``, ``real``, ``none`` or ``unavailable: CODE``."""
        if self._unavailable:
            return f"unavailable: {self._unavailable}"
        self.wait()
        return self._greeted().device

    @property
    def card(self) -> str:
        """Name of the machine's own card where `device` is ``real``, else empty."""
        self.wait()
        return self._greeted().card

    @property
    def torch(self) -> str:
        """Version of torch."""
        self.wait()
        return self._greeted().torch

    def admit(self, theirs: socket.socket, uid: int) -> None:
        """Let a judge of another process share this server; restarts one that has died.

        Args:
            theirs: the server's end of a `door`.
            uid: user that its children become where the server is root's, see `child_uid`.

        Raises:
            ServerFailed: no server can be shared.
        """

        def admit() -> None:
            if not isinstance(self._process, OwnForkServer):
                raise ServerFailed("sandbox.no-start", {"reason": "no server to share"})
            self._process.admit(theirs, uid)

        self._twice_at_most(admit)

    def spawn(self, start: Start, limits: Limits) -> ChildSession:
        """Return a child that is locked in and ready; restarts a server that has died.

        Raises:
            ServerFailed: there is none to be had.
        """

        def fork() -> Process:
            self.wait()
            wanted = self._imported - self._feared
            process = self._process.fork(limits, wanted)
            self._loaded = wanted
            return process

        return ChildSession(self._twice_at_most(fork), start, limits, imported=self._imported)

    def close(self) -> None:
        """End the server and whatever lives in it."""
        self._process.close()

    def _greeted(self) -> control.Hello:
        try:
            return self._process.hello()
        except ServerFailed:
            if type(self._process) is not ForkServer:
                raise
            self._restart()  # with one of its own
            return self._process.hello()

    def _twice_at_most(self, action: Callable[[], Given]) -> Given:
        """Do something with the server, and where it has died once more with a new one.

        Raises:
            ServerFailed: the new one has died as well.
        """
        try:
            return action()
        except ServerGone:
            self._restart()
        try:
            return action()
        except ServerGone as error:
            raise ServerFailed("sandbox.server-died", {"reason": str(error)}) from error

    def _restart(self) -> None:
        self._feared |= self._imported - self._loaded  # one may be what the server has died of
        self._loaded = set()
        self._process.close()
        self._process = self._start()

    def _start(self) -> OwnForkServer | FreshServer:
        if not self._fork:
            return FreshServer(core=self._core, real=self._real)
        return OwnForkServer(launch.plan(self._use_layers, core=self._core, once=self._once))


def _find_core() -> tuple[str, str]:
    """Return the virtual GPU's native core, built if need be, or why there is none."""
    try:
        return str(ensure().resolve()), ""  # in the new root no link leads to it
    except Unavailable as error:
        return "", error.reason_code
