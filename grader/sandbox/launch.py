"""How processes of ours are started: the command, a clean environment, and what they may read."""

import os
import site
import sys
import sysconfig
from pathlib import Path

from grader.sandbox import control

_PACKAGE = Path(__file__).resolve().parent.parent
_BESIDE_STUDENTS = ("__init__.py", "sandbox", "vgpu")
"""The parts of this package that children may read; no check, oracle or message is among them."""

_SYSTEM_FILES = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
)


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package in a new interpreter.

    Neither the working folder, nor the user's own packages, nor byte code on disk play a part. The
    options leave PYTHONHASHSEED in force, which ``-I`` would not.
    """
    return [
        sys.executable,
        "-s",
        "-P",
        "-B",
        str(_PACKAGE / "sandbox" / "boot.py"),
        module,
        *arguments,
    ]


_CUDA_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "LD_LIBRARY_PATH")
"""What tells where the driver's library is, and which card to use."""


def environment(*, real: bool = False) -> dict[str, str]:
    """Return all that a server or child sees of the environment: nothing of the caller's.

    With `real`, what the driver of the machine's own card needs is handed on.

    One thread for each numerical library: with a second OpenMP thread before a fork, matrix
    products hang in the children.
    """
    one_thread = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    found = dict.fromkeys((*one_thread, "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
    found |= {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "USER": "student",  # no list of users may know the child's, and libraries ask for the name
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "MPLBACKEND": "Agg",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow, which pandas loads
        "KINETO_LOG_LEVEL": "99",  # torch's profiler speaks up otherwise
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "TORCHINDUCTOR_CACHE_DIR": os.sep,  # else loading the compiler makes a folder for it
        "TORCHDYNAMO_DISABLE": "1",  # `torch.compile` needs a C++ compiler: code runs as it is
    }
    if sys.platform == "win32":  # sockets and random numbers need it there
        found |= {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP") if name in os.environ}
    if real:
        found |= {name: os.environ[name] for name in _CUDA_VARIABLES if name in os.environ}
    return found


def package_folders() -> tuple[str, ...]:
    """Return the folders of installed packages that this interpreter uses."""
    endings = ("site-packages", "dist-packages", "lib-dynload")
    named = [sysconfig.get_path(name) for name in ("purelib", "platlib")]
    named += [entry for entry in sys.path if entry.rstrip("/\\").endswith(endings)]
    named += [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return tuple(dict.fromkeys(folder for folder in named if folder and Path(folder).is_dir()))


def readable_paths() -> tuple[str, ...]:
    """Return what a child may read: interpreter, libraries, and our own part beside the student.

    `sys.path` plays no part: it may hold the folder of the assignment's solution.
    """
    wanted = [Path(path) for path in _SYSTEM_FILES]
    wanted += [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    wanted += [Path(sys.base_prefix) / "lib", Path(sys.prefix) / "pyvenv.cfg"]
    wanted += [Path(folder) for folder in package_folders()]
    wanted += [_PACKAGE / name for name in _BESIDE_STUDENTS]
    chosen: list[Path] = []
    for path in sorted({path.resolve() for path in wanted if path.exists()}):
        inside = any(path.is_relative_to(other) for other in chosen)
        if path.parent != path and (not inside or path.is_relative_to(_PACKAGE)):
            chosen.append(path)
    return tuple(str(path) for path in chosen)


def covered_folder(readable: tuple[str, ...]) -> str:
    """Return this package's folder if a readable folder holds all of it, else an empty text."""
    inside = any(_PACKAGE.is_relative_to(path) for path in readable)
    return str(_PACKAGE) if inside else ""


def cache_folder() -> str:
    """Return a folder of the user's own that keeps matplotlib's list of fonts, empty for none."""
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(named) if named else Path.home() / ".cache") / "grader" / "fonts"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return ""
    return str(folder.resolve()) if os.access(folder, os.W_OK) else ""


def child_uid() -> int:
    """Return the user that this judge's children become if root's: a number of the process's own.

    It keeps the count of threads (RLIMIT_NPROC) apart from other users' and other judges'.
    """
    import pwd  # not on Windows, where no child changes its user

    taken = {entry.pw_uid for entry in pwd.getpwall()}
    uid = 40000 + os.getpid() % 20000
    while uid in taken:
        uid += 1
    return uid


def plan(layers: tuple[str, ...], *, core: str, once: bool = False) -> control.Plan:
    """Return the plan for a server of this installation."""
    readable = readable_paths()
    readable += (str(Path(core).resolve().parent),) if core else ()
    return control.Plan(
        layers=layers,
        readable=readable,
        packages=package_folders(),
        covered=covered_folder(readable),
        cache=cache_folder(),
        core=core,
        uid=child_uid(),
        once=once,
    )
