"""Namespaces: a process tree, network and root folder of one's own; see man 7 namespaces.

A half-built namespace is never used: any failure here ends the process that tried, and its parent
starts again without (`grader.sandbox.server`).
"""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from grader.sandbox import kernel, privileges

OWN_PARENT = "/scratch"
"""Where the child's own folder lies inside the new root."""
OWN_FOLDER = f"{OWN_PARENT}/own"
"""The child's own folder, gone with the child; it covers the server's, in which a cache lies."""
CACHE_FOLDER = f"{OWN_FOLDER}/cache"

_CLONE_NEWNS = 0x00020000
_CLONE_NEWCGROUP = 0x02000000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND = 2, 4, 8, 4096
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18
_MNT_DETACH = 2

_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV = 1, 2, 4
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000

_DEVICES = ("null", "urandom", "random")
_SYSTEM_LINKS = ("/lib", "/lib64", "/bin")
_OLD, _NEW = "/old", "/new"


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def enter_user_namespace(itself: int | None = None) -> None:
    """Become the only user of a new user namespace, in which one may build the others.

    Args:
        itself: descriptor of this process's folder in /proc, where that is not mounted.

    Raises:
        OSError: the system refuses, as Docker and some distributions do.
    """
    uid, gid = os.getuid(), os.getgid()
    place = _open_itself() if itself is None else itself
    privileges.hide_memory(hidden=False)  # else the files below belong to root
    _unshare(_CLONE_NEWUSER)
    _write("setgroups", "deny", place)  # must precede the map of groups
    _write("uid_map", f"{uid} {uid} 1", place)
    _write("gid_map", f"{gid} {gid} 1", place)
    privileges.hide_memory()
    os.close(place)


def _open_itself() -> int:
    return os.open("/proc/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def leave_the_rest() -> None:
    """Leave the system's processes, network, mounts, names and messages.

    The next child that is forked is the first process of the new tree.
    """
    _unshare(
        _CLONE_NEWPID | _CLONE_NEWNET | _CLONE_NEWNS | _CLONE_NEWIPC | _CLONE_NEWUTS
        | _CLONE_NEWCGROUP
    )  # fmt: skip


def build_root(readable: Sequence[str], *, covered: str, cache: str) -> None:
    """Change to a root that holds the readable files, three devices and /proc, nothing else.

    Two turns, since what is mounted may itself lie below the place where the new root is built:
    first to a stage on which the old root hangs beside the new, then to the new.

    Args:
        readable: files and folders, absolute and without links.
        covered: a folder inside them of which only entries of `readable` stay visible.
        cache: folder to mount writable at `CACHE_FOLDER`; may be empty.
    """
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)  # nothing goes back to the system's mounts
    _mount("stage", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "size=64k,mode=755")  # noqa: S108
    for name in (_OLD, _NEW):
        Path("/tmp" + name).mkdir()  # noqa: S108
    _pivot("/tmp", "/tmp" + _OLD)  # noqa: S108
    _mount("root", _NEW, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
    for path in sorted(readable):  # a covering folder comes before what shows through it
        _show(path)
        if covered and Path(covered).is_relative_to(path):
            _mount("cover", _NEW + covered, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=64k,mode=755")
            covered_entries = [entry for entry in readable if Path(entry).parent == Path(covered)]
            for entry in covered_entries:
                _show(entry)
    for link in _SYSTEM_LINKS:
        if Path(_OLD + link).is_symlink() and not Path(_NEW + link).exists():
            Path(_NEW + link).symlink_to(Path(_OLD + link).readlink())
    for device in _DEVICES:
        _bind(f"/dev/{device}", f"/dev/{device}")
    for name in ("/proc", "/tmp", OWN_FOLDER, _OLD):  # noqa: S108
        Path(_NEW + name).mkdir(exist_ok=True, parents=True)
    _mount("scratch", _NEW + OWN_FOLDER, "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, "size=8m")
    if cache:
        _bind(cache, CACHE_FOLDER)
    _mount("proc", _NEW + "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _pivot(_NEW, _NEW + _OLD)
    _unmount(_OLD)
    Path(_OLD).rmdir()


def close_root() -> None:
    """Make the root read-only, but for the server's own folder.

    Else one child could leave a note there for the next.
    """
    _read_only("/", recursive=False)


def take_own_folder(size_bytes: int, *, own_user: bool) -> None:
    """Give this process a private empty folder in place of the server's, and take /proc away.

    In a mount namespace of its own, so that the folder disappears with the process.

    Args:
        size_bytes: of the folder.
        own_user: go on in a user namespace of its own as well, where its threads count alone.
    """
    itself = _open_itself() if own_user else None
    _unshare(_CLONE_NEWNS)
    options = f"size={size_bytes},nr_inodes=2000,mode=777"
    _mount("own", OWN_FOLDER, "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, options)
    _unmount("/proc")
    os.chdir(OWN_FOLDER)
    if itself is not None:
        enter_user_namespace(itself)


class ChildTrees:
    """Lets each child be the first process of a tree of its own.

    A process cannot move itself, only its future children, so the server turns to a new tree before
    a fork and back to its own afterwards; see man 2 setns.
    """

    def __init__(self) -> None:
        self._own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def before_fork(self) -> None:
        """Let the next child have a tree of its own."""
        _unshare(_CLONE_NEWPID)

    def after_fork(self) -> None:
        """Turn back, in the server."""
        kernel.checked(kernel.libc().setns(ctypes.c_int(self._own), _CLONE_NEWPID), "setns")


def _show(path: str) -> None:
    """Mount a path of the old root at the same place of the new one, read-only."""
    _bind(path, path)
    _read_only(_NEW + path, recursive=True)


def _bind(path: str, target: str) -> None:
    source, place = Path(_OLD + path), Path(_NEW + target)
    place.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        place.mkdir(exist_ok=True)
    elif not place.exists():
        place.touch()
    _mount(str(source), str(place), None, _MS_BIND | _MS_REC)


def _read_only(path: str, *, recursive: bool) -> None:
    """See man 2 mount_setattr; kernel 5.12 and later."""
    attributes = _MountAttributes(
        _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV, 0, 0, 0
    )
    flags, size = _AT_RECURSIVE if recursive else 0, ctypes.sizeof(attributes)
    kernel.syscall("mount_setattr", _AT_FDCWD, os.fsencode(path), flags, attributes, size)


def _unshare(flags: int) -> None:
    kernel.checked(kernel.libc().unshare(ctypes.c_int(flags)), f"unshare {flags:#x}")


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    data = None if options is None else options.encode()
    result = kernel.libc().mount(*texts, ctypes.c_ulong(flags), data)
    kernel.checked(result, f"mount {target}")


def _unmount(target: str) -> None:
    result = kernel.libc().umount2(os.fsencode(target), ctypes.c_int(_MNT_DETACH))
    kernel.checked(result, f"umount {target}")


def _pivot(new: str, old: str) -> None:
    kernel.syscall("pivot_root", os.fsencode(new), os.fsencode(old))
    os.chdir("/")


def _write(name: str, text: str, folder: int) -> None:
    """Write with one call: a buffered file would lose the kernel's refusal at its close."""
    descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
