"""How long a student waits: `grader check` beside the bare import of torch, in turn.

    python benchmarks/startup.py [NOTEBOOK]

Prints five alternating runs, their medians and the ratio, and the time of `grader --help`. The
target is 1.5 times the import, and 0.3 s for the help. Without NOTEBOOK it checks the one that
GRADER_EXAMPLE_NOTEBOOK names, else `submissions/perfect`.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 5
ROOT = Path(__file__).resolve().parent.parent


def seconds(*command: str) -> float:
    """Return how long a command takes on the clock."""
    start = time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - start
    if result.returncode not in (0, 1):  # 1: some checks did not pass
        sys.exit(f"{' '.join(command)} ended with {result.returncode}\n{result.stderr}")
    return elapsed


def main() -> None:
    """Measure and print."""
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("GRADER_EXAMPLE_NOTEBOOK")
    notebook = named or str(ROOT / "submissions" / "perfect" / "homework.ipynb")
    commands = {
        "import torch": (sys.executable, "-c", "import torch"),
        "grader check": (sys.executable, "-m", "grader.cli", "check", notebook),
        "grader --help": (sys.executable, "-m", "grader.cli", "--help"),
    }
    for command in commands.values():  # compiles the virtual GPU's core, fills the disk's cache
        seconds(*command)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            times[name].append(seconds(*command))
    for name, values in times.items():
        shown = " ".join(f"{value:6.2f}" for value in values)
        print(f"{name:<15}{shown}   median {statistics.median(values):6.2f} s")
    ratio = statistics.median(times["grader check"]) / statistics.median(times["import torch"])
    print(f"grader check takes {ratio:.2f} times the import of torch (target: 1.5)")


if __name__ == "__main__":
    main()
