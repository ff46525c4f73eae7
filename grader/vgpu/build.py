"""Build the native core once and keep it in the user's cache folder.

Never inside a jail: the process that starts the warm server calls `ensure` first. It does not
import torch, which that process must not load.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

MODULE_NAME = "_vgpu_core"
SUPPORTED_TORCH = "2.13"
_FLAGS = ("-std=c++20", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-w")
_SOURCES = Path(__file__).parent / "native"
_BUILD_SECONDS = 300


class Unavailable(RuntimeError):
    """The virtual GPU cannot work here.

    Attributes:
        reason_code: what is missing, for programs: ``cuda-build``, ``torch-missing``,
            ``torch-version``, ``platform``, ``compiler-missing``, ``build-failed``,
            ``cache-folder``, ``install-failed``.
        text: the same for people, in one or two sentences.
    """

    def __init__(self, reason_code: str, text: str) -> None:
        super().__init__(f"{text} [{reason_code}]")
        self.reason_code = reason_code
        self.text = text


def ensure(*, cache_folder: Path | None = None) -> Path:
    """Return the path of the native core, built first if it is not there yet.

    Two processes may build at once: each writes a file of its own, and the last rename wins.

    Args:
        cache_folder: where to keep it; by default ``grader`` in ``XDG_CACHE_HOME`` or ``~/.cache``.

    Raises:
        Unavailable: with one of the reason codes of that class.
    """
    torch_folder = find_torch()
    target = _target(cache_folder or default_cache_folder())
    if not target.is_file():
        _build(torch_folder, target)
    return target


def has_to_build() -> bool:
    """Tell whether the next `ensure` compiles, which takes a minute or two."""
    try:
        find_torch()
    except Unavailable:
        return False
    return not _target(default_cache_folder()).is_file()


def _target(cache_folder: Path) -> Path:
    return cache_folder / "vgpu" / _key() / f"{MODULE_NAME}.so"


def default_cache_folder() -> Path:
    """Return ``grader`` in the user's folder for caches."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "grader"


def find_torch() -> Path:
    """Return the folder of the installed torch without importing it.

    Raises:
        Unavailable: there is none, or one that the virtual GPU does not know.
    """
    if not sys.platform.startswith("linux"):
        raise Unavailable(
            "platform", "The virtual GPU needs Linux; its tests know no other system."
        )
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable("torch-missing", "PyTorch is not installed.")
    folder = Path(spec.submodule_search_locations[0])
    if is_cuda_build(folder):
        raise Unavailable(
            "cuda-build",
            "The virtual GPU needs the CPU build of PyTorch, and this is a CUDA build: install it "
            "with `pip install torch --index-url https://download.pytorch.org/whl/cpu`.",
        )
    version = importlib.metadata.version("torch")
    if not re.match(rf"{re.escape(SUPPORTED_TORCH)}(\.|$)", version):
        raise Unavailable(
            "torch-version",
            f"The virtual GPU is checked against PyTorch {SUPPORTED_TORCH}, not {version}: "
            f"install torch {SUPPORTED_TORCH}.",
        )
    return folder


def is_cuda_build(torch_folder: Path) -> bool:
    """Tell whether a torch was built for CUDA or ROCm, from its files alone."""
    try:
        version = (torch_folder / "version.py").read_text("utf-8")
    except OSError:
        version = ""
    named = re.search(r"^(?:cuda|hip)\b[^=\n]*=\s*['\"]", version, re.MULTILINE)
    libraries = ("libtorch_cuda.so", "libtorch_hip.so")
    return named is not None or any((torch_folder / "lib" / name).exists() for name in libraries)


def _key() -> str:
    digest = hashlib.sha256()
    for part in (
        importlib.metadata.version("torch"),
        sys.implementation.cache_tag,
        platform.machine(),
        *_FLAGS,
    ):
        digest.update(part.encode() + b"\0")
    for source in sorted(_SOURCES.iterdir()):
        if source.suffix in (".h", ".cpp"):
            digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:20]


def _build(torch_folder: Path, target: Path) -> None:
    compiler = shutil.which(os.environ.get("CXX") or "g++")
    if compiler is None:
        raise Unavailable(
            "compiler-missing",
            "The virtual GPU compiles a small native core once, and no C++ compiler was found: "
            "install g++ 11 or later, or name one in CXX.",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".building-", suffix=".so", dir=target.parent)
    except OSError as error:
        raise Unavailable(
            "cache-folder",
            f"The native core of the virtual GPU cannot be kept in {target.parent}: "
            f"{error.strerror}. Name a writable folder in XDG_CACHE_HOME.",
        ) from None
    os.close(descriptor)
    partial = Path(name)
    try:
        _compile(compiler, torch_folder, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _compile(compiler: str, torch_folder: Path, output: Path) -> None:
    libraries = torch_folder / "lib"
    command = [
        compiler,
        *_FLAGS,
        f"-DTORCH_EXTENSION_NAME={MODULE_NAME}",
        *("-isystem", str(torch_folder / "include")),
        *("-isystem", str(torch_folder / "include" / "torch" / "csrc" / "api" / "include")),
        *("-isystem", sysconfig.get_paths()["include"]),
        str(_SOURCES / "core.cpp"),
        *("-o", str(output)),
        f"-L{libraries}",
        *("-lc10", "-ltorch_cpu", "-ltorch_python"),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command on the package's own source
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(
            "build-failed", f"Compiling the native core took more than {_BUILD_SECONDS} seconds."
        ) from None
    if done.returncode != 0:
        first = next((line for line in done.stderr.splitlines() if "error" in line), "")
        raise Unavailable(
            "build-failed", f"The native core of the virtual GPU did not compile: {first[:300]}"
        )
