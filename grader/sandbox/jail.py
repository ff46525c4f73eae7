"""The order of the locks: what the warm server prepares, and what each child does to itself.

Every lock is a function of its own module. The order matters: mounts come before the Landlock
rules that refer to them, the change of user before what it resets, and the filter of system calls
last, since it forbids the calls that the others need.
"""

import os
import signal
import stat
from dataclasses import dataclass, field
from pathlib import Path

from grader.sandbox import (
    control,
    kernel,
    landlock,
    layers,
    namespaces,
    privileges,
    rlimits,
    seccomp,
)
from grader.sandbox.reserve import RESERVE_BYTES

SOCKET, LOG = 3, 1
"""Descriptors of a child: its messages, and the log (also 2); 0 reads nothing."""
_RULESET = 4

_OWN_FOLDER_BYTES = 64 << 20
_FIRST_PROCESS = 1
"""How a child sees itself where it has a process tree of its own."""


@dataclass(slots=True)
class Jail:
    """What the server found out and prepared for its children.

    Attributes:
        plan: what the judge asked for.
        active: layers that children will hold.
        missing: why each of the others does not.
        held: what the server held when it last loaded something.
        trees: gives each child a process tree of its own; None without namespaces.
        ruleset: descriptor of Landlock's rules, the same for every child; -1 without.
        filter: seccomp's program for the first process of a tree; empty where there is no tree.
    """

    plan: control.Plan
    active: list[str] = field(default_factory=lambda: [layers.PROCESS])
    missing: dict[str, str] = field(default_factory=dict)
    held: rlimits.HeldByServer | None = None
    trees: namespaces.ChildTrees | None = None
    ruleset: int = -1
    filter: bytes = b""

    def wants(self, layer: str) -> bool:
        """Whether the judge asked for a layer; notes it as missing otherwise."""
        if layer in self.plan.layers:
            return True
        self.missing[layer] = "switched off"
        return False

    def holds(self, layer: str) -> bool:
        """Whether children hold a layer."""
        return layer in self.active

    def look_at_memory(self) -> None:
        """Note what the server holds, which bounds what children may hold."""
        if self.holds(layers.LIMITS):
            self.held = rlimits.held_by_this_process()


def survey(jail: Jail) -> None:
    """Find out, once the preload is done, which layers this machine offers; prepare them.

    What is the same for every child is made here, once.
    """
    for number in (signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o077)
    if jail.wants(layers.LIMITS):
        jail.active.append(layers.LIMITS)
        jail.look_at_memory()
    if jail.wants(layers.USER):
        reason = _why_same_user(jail)
        _offer(jail, layers.USER, not reason, reason)
    in_tree = jail.holds(layers.NAMESPACES)
    if in_tree:
        jail.trees = namespaces.ChildTrees()
    if jail.wants(layers.SECCOMP):
        _offer(jail, layers.SECCOMP, seccomp.is_available(), "the kernel has no filters")
        if in_tree and jail.holds(layers.SECCOMP):
            program = seccomp.allow_list(_FIRST_PROCESS, own_folder=True)
            jail.filter = seccomp.assemble(program)
    if jail.wants(layers.LANDLOCK):
        abi = landlock.find_abi()
        _offer(jail, layers.LANDLOCK, abi > 0, "the kernel does not have it switched on")
        if jail.holds(layers.LANDLOCK):
            own = namespaces.OWN_PARENT if in_tree else None
            jail.ruleset = landlock.make_ruleset(jail.plan.readable, own, abi=abi)
    if in_tree or layers.USER in jail.plan.layers:
        privileges.drop_bounding_set()


def _why_same_user(jail: Jail) -> str:
    """Return why children cannot become another user, empty where they can.

    An interpreter in root's home serves root only. Its children then stay root without a single
    capability, and the other layers hold them; inside namespaces the way to it is open.
    """
    if os.getuid() != 0:
        return "the judge is not root, so neither is a child"
    if not jail.holds(layers.NAMESPACES):
        core = str(Path(jail.plan.core).parent)  # loaded by now
        for path in jail.plan.readable:
            if path == core:
                continue
            for folder in Path(path).parents:
                if not folder.stat().st_mode & stat.S_IXOTH:
                    return f"{folder} is closed to other users, and {path} is needed"
    return ""


def _offer(jail: Jail, layer: str, available: bool, reason: str) -> None:  # noqa: FBT001
    if available:
        jail.active.append(layer)
    else:
        jail.missing[layer] = reason


def lock_down(jail: Jail, fork: control.Fork, uid: int, *, socket_fd: int, log_fd: int) -> None:
    """Give up, in a freshly forked child, all that student code does not need.

    Args:
        jail: what the server prepared.
        fork: the limits.
        uid: user that it becomes where the server is root's.
        socket_fd: descriptor of its messages.
        log_fd: descriptor of its log.

    Raises:
        OSError: a lock that the server found available does not close; the child must end.
    """
    _keep_descriptors(socket_fd, log_fd, jail.ruleset)
    os.setsid()
    if jail.holds(layers.NAMESPACES):
        namespaces.take_own_folder(_OWN_FOLDER_BYTES, own_user=os.getuid() != 0)
    if jail.holds(layers.USER):
        privileges.become(uid)
    if jail.holds(layers.SECCOMP) or jail.holds(layers.LANDLOCK):
        privileges.gain_nothing_by_exec()
    if jail.holds(layers.NAMESPACES) or layers.USER in jail.plan.layers:
        privileges.drop_capabilities()
    privileges.die_with_parent()
    privileges.hide_memory()
    if jail.held is not None:
        _limit(jail, jail.held, fork)
    if jail.holds(layers.LANDLOCK):
        landlock.restrict(_RULESET)
        os.close(_RULESET)
    if jail.holds(layers.SECCOMP):
        seccomp.load(jail.filter or _filter_of_this_process())


def _filter_of_this_process() -> bytes:
    return seccomp.assemble(seccomp.allow_list(os.getpid(), own_folder=False))


def _limit(jail: Jail, held: rlimits.HeldByServer, fork: control.Fork) -> None:
    rlimits.limit_memory(held, fork.memory_bytes + RESERVE_BYTES)
    rlimits.limit_time(fork.cpu_seconds)
    rlimits.limit_files(own_folder=jail.holds(layers.NAMESPACES))
    rlimits.limit_signals_and_priority()
    if jail.holds(layers.USER) or (jail.holds(layers.NAMESPACES) and os.getuid() != 0):
        rlimits.limit_threads(fork.threads)


def _keep_descriptors(socket_fd: int, log_fd: int, ruleset: int) -> None:
    """Keep the socket as 3, the log as 1 and 2, the rules as 4; close every other descriptor."""
    # First out of the way of each other: the server holds two descriptors for each of its judges.
    nothing = os.open("/dev/null", os.O_RDONLY)
    kept = [descriptor for descriptor in (nothing, log_fd, socket_fd, ruleset) if descriptor >= 0]
    above = max(*kept, _RULESET) + 1
    for place, descriptor in enumerate(kept):
        os.dup2(descriptor, above + place, inheritable=False)
    os.dup2(above, 0)
    os.dup2(above + 1, 1)
    os.dup2(above + 1, 2)
    os.dup2(above + 2, SOCKET, inheritable=False)
    if ruleset >= 0:
        os.dup2(above + 3, _RULESET, inheritable=False)
    kernel.close_from(SOCKET + 1 + (ruleset >= 0))
