"""The warm server: started by exec, loads torch once, and forks a child for every submission.

Started by `grader.sandbox.session` as ``python -m grader.sandbox.server FD``. It never runs student
code and never sees an answer. On its control socket it gets one request at a time, with two
descriptors: the child's end of the message socket and the file that takes descriptors 1 and 2.
"""

import gc
import os
import select
import signal
import socket
import sys

import msgspec


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """First message of the server: ready, or why not.

    Attributes:
        device: ``virtual``, ``none`` or ``unavailable: CODE``.
        torch: version of torch.
        layers: the active locks.
        fatal: why the server cannot serve; empty if it can.
    """

    device: str = "none"
    torch: str = ""
    layers: tuple[str, ...] = ()
    fatal: str = ""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What the judge tells a server at its start.

    Attributes:
        core: path of the virtual GPU's native core; empty for no virtual GPU.
        unavailable: reason code if the virtual GPU cannot work here.
    """

    core: str = ""
    unavailable: str = ""


class Spawn(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a child: its bounds."""

    memory_bytes: int
    cpu_seconds: int
    threads: int


class Spawned(msgspec.Struct, frozen=True, kw_only=True, tag="spawned"):
    """A child lives; its pidfd comes along."""

    pid: int


class Exited(msgspec.Struct, frozen=True, kw_only=True, tag="exited"):
    """A child has ended: exit code, or minus the signal that ended it."""

    pid: int
    status: int
    cpu_seconds: float
    peak_bytes: int


def main() -> None:
    """Serve the control socket whose descriptor is the first argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    config = msgspec.json.decode(control.recv(1 << 16), type=Config)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    device = _install_device(config)
    from grader.sandbox import child  # torch comes with it

    child.preload()
    gc.collect()
    gc.freeze()
    import torch

    hello = Hello(device=device, torch=str(torch.__version__))
    control.send(msgspec.json.encode(hello))
    _serve(control)


def _install_device(config: Config) -> str:
    if not config.core:
        return f"unavailable: {config.unavailable}" if config.unavailable else "none"
    from pathlib import Path

    import grader.vgpu

    try:
        grader.vgpu.install(core=Path(config.core))
    except grader.vgpu.Unavailable as error:
        return f"unavailable: {error.reason_code}"
    return "virtual"


def _serve(control: socket.socket) -> None:
    """Fork on request, report exits; return when the judge has closed its end."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    living: dict[int, int] = {}
    while True:
        for fd, _ in poll.poll():
            if fd in living:
                poll.unregister(fd)
                os.close(fd)
                _report_exit(control, living.pop(fd))
                continue
            message, fds, _, _ = socket.recv_fds(control, 1 << 16, 2)
            if not message:
                return
            request = msgspec.json.decode(message, type=Spawn)
            pid = os.fork()
            if pid == 0:
                _be_child(control, request, fds)
            for received in fds:
                os.close(received)
            pidfd = os.pidfd_open(pid)
            socket.send_fds(control, [msgspec.json.encode(Spawned(pid=pid))], [pidfd])
            living[pidfd] = pid
            poll.register(pidfd, select.POLLIN)


def _report_exit(control: socket.socket, pid: int) -> None:
    _, status, usage = os.wait4(pid, 0)
    exited = Exited(
        pid=pid,
        status=os.waitstatus_to_exitcode(status),
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
    )
    control.send(msgspec.json.encode(exited))


def _be_child(control: socket.socket, request: Spawn, fds: list[int]) -> None:
    """Serve one submission in this forked process; never returns."""
    del request
    code = 97
    try:
        control.close()
        connection, log = fds
        os.dup2(log, 1)
        os.dup2(log, 2)
        from grader.sandbox import child, wire
        from grader.sandbox.protocol import Start

        channel = wire.Channel(connection)
        start = channel.receive()
        assert isinstance(start, Start)
        child.run(channel, start, log)
        code = 0
    except wire.Gone:
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
