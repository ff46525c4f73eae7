"""Messages between judges and their warm server, which all are ours and trust each other.

They travel as single packets over a socket of type SEQPACKET, with descriptors beside them.
"""

from typing import Literal

import msgspec

from grader.sandbox.protocol import Library


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="plan"):
    """First message to the server: how to prepare.

    Attributes:
        layers: names of the layers to use where the machine has them.
        readable: files and folders that children may read, absolute and without links.
        packages: folders of packages, to complete `sys.path`.
        covered: a folder inside a readable one of which only `readable` entries may be seen.
        cache: folder that the server may write to, for matplotlib's list of fonts; empty for none.
        core: path of the virtual GPU's native core; empty for no virtual GPU.
        uid: user that the first judge's children become where the server is root's.
        once: the server serves one submission or a few, so it does not warm up for more.
    """

    layers: tuple[str, ...]
    readable: tuple[str, ...]
    packages: tuple[str, ...]
    covered: str = ""
    cache: str = ""
    core: str = ""
    uid: int = 65534
    once: bool = False


class Hello(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hello"):
    """The server is warm.

    Attributes:
        layers: names of the layers that hold.
        missing: why each of the others does not.
        device: ``virtual``, ``real``, ``none`` or ``unavailable: REASON-CODE``.
        torch: version of torch.
        seconds: time it took.
        card: name of the machine's own card where `device` is ``real``.
    """

    layers: tuple[str, ...]
    missing: dict[str, str]
    device: str
    torch: str
    seconds: float
    card: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the probe found.

    Attributes:
        device: ``real`` or ``unavailable: REASON-CODE``.
        card: the card's name, empty where there is none.
    """

    device: str
    card: str = ""


class Join(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="join"):
    """Serve one more judge, at the other end of the socket that travels beside it.

    Only the first judge sends it; that one's end ends the server, another's only its own children.

    Attributes:
        uid: user that this judge's children become where the server is root's.
    """

    uid: int


class Fork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="fork"):
    """Start a child; beside it travel the child's socket, its log, and a pipe.

    In the pipe waits the key with which the virtual GPU's account is sealed. Only native code of
    the child reads it, before any code of the student's runs.

    Attributes:
        cpu_seconds: processor time of the whole submission.
        memory_bytes: memory beyond what the server holds.
        threads: threads beyond the first.
        libraries: what to load first, for this child and all later ones.
    """

    cpu_seconds: int
    memory_bytes: int
    threads: int
    libraries: tuple[Library, ...] = ()


class Forked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="forked"):
    """The child lives; beside it travels its pidfd."""

    pid: int


class Ended(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ended"):
    """A child was reaped.

    Attributes:
        pid: as in `Forked`.
        status: exit code, or minus the number of the signal.
        cpu_seconds: processor time it used.
        peak_bytes: the most memory it had at once, shared pages included.
        over: what it had more of than it may when the server ended it: ``memory``, ``threads``,
            or empty where the server did not.
    """

    pid: int
    status: int
    cpu_seconds: float
    peak_bytes: int
    over: Literal["", "memory", "threads"] = ""


class Trouble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="trouble"):
    """The server could not do what was asked."""

    text: str


ToServer = Plan | Join | Fork
FromServer = Hello | Forked | Ended | Trouble

MOST_BYTES = 64 << 10
CHILD_FAILED = 71
"""Exit code of a child whose own code, not the student's, failed."""
encode = msgspec.msgpack.Encoder().encode
decode_for_server = msgspec.msgpack.Decoder(ToServer).decode
decode_for_judge = msgspec.msgpack.Decoder(FromServer).decode
