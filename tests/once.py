"""What is costly and the same for many tests, made once a session for all workers of pytest-xdist.

Nothing outlives the session, and what could not be made is tried again by the next who asks, so
every test that needs it fails.
"""

import fcntl
import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from grader.judge import Judge
from grader.model import Report, Submission


class Once:
    """A folder of things made once.

    Args:
        folder: the same for all workers of the session, and for no other session.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def made(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return a file or folder, which `make` makes if nobody has; others wait meanwhile."""
        path, unfinished = self._folder / name, self._folder / f"{name}.unfinished"
        with (self._folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                make(unfinished)
                unfinished.rename(path)
        return path

    def report(self, judge: Judge, submission: Submission) -> Report:
        """Return what a judge finds in a submission, or what an equal judge has found in it."""
        asked = asked_of(judge, submission)

        def grade(path: Path) -> None:
            path.write_bytes(msgspec.json.encode(judge.grade(submission)))

        name = hashlib.sha256(asked.encode()).hexdigest()
        return msgspec.json.decode(self.made(name, grade).read_bytes(), type=Report)


def asked_of(judge: Judge, submission: Submission) -> str:
    """Return what decides a report, as far as the servers that tests start are alike."""
    assignment = judge._assignment
    tasks = [task.id for task in judge._tasks]
    limits, keys = assignment.limits, sorted(assignment.keys.items())
    named = (assignment.name, tasks, limits, keys, judge._card, judge._profile)
    return repr((submission.name, submission.digest, *named))
