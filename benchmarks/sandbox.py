"""What a submission costs before and beside its own code.

    python benchmarks/sandbox.py

Prints medians of the time on the clock and of the processor time of the child and its server, with
the layers of this machine: fork to ready, a round trip, a trivial cell, a hundred inputs to one
gate, a trivial submission with its end, and the same without locks, which cost the difference.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from grader.model import Limits
from grader.sandbox import layers
from grader.sandbox.protocol import Called, CallGate, ListNames, Names, RunCell, Start, Target
from grader.sandbox.session import ChildSession, Server

ROUNDS = 40
GATE = """
import torch
class Gate(torch.nn.Module):
    def forward(self, x): return torch.heaviside(x.sum() - 1.5, torch.tensor(0.0))
neuron = Gate()
"""


def cell(source: str) -> RunCell:
    """Return a cell of a notebook."""
    return RunCell(
        index=1,
        file="homework.ipynb",
        source=source,
        style="notebook",
        cpu_seconds=10,
        device_seconds=10,
    )


def milliseconds(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median time on the clock."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def spawn(server: Server) -> ChildSession:
    """Return a child that is ready."""
    return server.spawn(Start(seed=1, card="Tesla T4"), Limits())


def measure(server: Server, name: str) -> None:
    """Print the figures of one server."""
    server.wait()
    ready, whole, processor, extra = [], [], [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        child = spawn(server)
        ready.append(time.perf_counter() - began)
        child.run_cell(cell("x = 1\nprint(x)"), seconds_wall=20)
        looking = time.perf_counter()
        pid = own_pid(child)
        processor.append(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6)
        extra.append(private_bytes(pid))
        began += time.perf_counter() - looking
        child.close()
        whole.append(time.perf_counter() - began)
    print(f"{name}: {', '.join(server.layers)}")
    print(f"  fork to ready         {statistics.median(ready) * 1000:8.2f} ms")
    print(f"  trivial submission    {statistics.median(whole) * 1000:8.2f} ms")
    print(f"    of the processor    {statistics.median(processor):8.2f} ms in the child")
    print(f"    private memory      {statistics.median(extra) / 2**20:8.2f} MiB")
    with spawn(server) as child:
        child.run_cell(cell(GATE), seconds_wall=20)
        question = ListNames(file="homework.ipynb")
        print(f"  round trip            {milliseconds(lambda: child.ask(question, Names)):8.2f} ms")
        trivial = milliseconds(lambda: child.run_cell(cell("x = 1"), seconds_wall=20))
        print(f"  trivial cell          {trivial:8.2f} ms")
        rows = tuple((float(n % 2), float(n // 2 % 2)) for n in range(100))
        target = Target(file="homework.ipynb", name="neuron")
        gate = CallGate(target=target, form="vector", rows=rows)
        print(f"  100 inputs to a gate  {milliseconds(lambda: child.ask(gate, Called)):8.2f} ms")


def own_pid(child: ChildSession) -> int:
    """Return the child's number as this process sees it; the server may be in a tree of its own."""
    descriptor = child._process._pidfd  # type: ignore[attr-defined]
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))


def private_bytes(pid: int) -> int:
    """Return the memory that a child does not share with its server."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def main() -> None:
    """Measure with all layers, and with none."""
    with Server(unsafe=True) as server:
        measure(server, "all layers")
    with Server(unsafe=True, use_layers=(layers.PROCESS,)) as server:
        measure(server, "no locks")


if __name__ == "__main__":
    main()
