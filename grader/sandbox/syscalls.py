"""Numbers of the system calls that children may make, by kind of machine.

From the kernel's tables arch/x86/entry/syscalls/syscall_64.tbl and, for aarch64,
include/uapi/asm-generic/unistd.h, where older forms such as ``open`` do not exist.
"""

# fmt: off
X86_64 = {
    "read": 0, "write": 1, "readv": 19, "writev": 20, "pread64": 17, "pwrite64": 18, "close": 3,
    "close_range": 436, "fstat": 5, "stat": 4, "lstat": 6, "newfstatat": 262, "statx": 332,
    "lseek": 8, "access": 21, "faccessat": 269, "faccessat2": 439, "open": 2, "openat": 257,
    "readlink": 89, "readlinkat": 267, "getdents64": 217, "getcwd": 79, "chdir": 80,
    "fchdir": 81, "mkdir": 83, "mkdirat": 258, "rmdir": 84, "unlink": 87, "unlinkat": 263,
    "rename": 82, "renameat": 264, "renameat2": 316, "truncate": 76, "ftruncate": 77,
    "fallocate": 285, "fsync": 74, "fdatasync": 75, "flock": 73, "fadvise64": 221,
    "utimensat": 280, "statfs": 137, "fstatfs": 138, "umask": 95, "symlink": 88,
    "symlinkat": 266, "dup": 32, "dup2": 33, "dup3": 292, "pipe": 22, "pipe2": 293, "poll": 7,
    "ppoll": 271, "select": 23, "pselect6": 270, "epoll_create1": 291, "epoll_ctl": 233,
    "epoll_wait": 232, "epoll_pwait": 281, "eventfd2": 290, "recvfrom": 45, "munmap": 11,
    "mprotect": 10, "brk": 12, "mremap": 25, "madvise": 28, "mincore": 27, "membarrier": 324,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "rt_sigpending": 127,
    "rt_sigtimedwait": 128, "rt_sigsuspend": 130, "sigaltstack": 131, "nanosleep": 35,
    "clock_nanosleep": 230, "clock_gettime": 228, "clock_getres": 229, "gettimeofday": 96,
    "time": 201, "times": 100, "getitimer": 36, "setitimer": 38, "alarm": 37, "pause": 34,
    "getpid": 39, "gettid": 186, "getppid": 110, "getpgrp": 111, "getpgid": 121, "getsid": 124,
    "getuid": 102, "geteuid": 107, "getgid": 104, "getegid": 108, "getresuid": 118,
    "getresgid": 120, "getgroups": 115, "getrlimit": 97, "getrusage": 98, "getpriority": 140,
    "uname": 63, "sysinfo": 99, "getcpu": 309, "sched_yield": 24, "sched_getaffinity": 204,
    "sched_setaffinity": 203, "sched_getparam": 143, "sched_getscheduler": 145,
    "sched_get_priority_max": 146, "sched_get_priority_min": 147, "futex": 202,
    "futex_waitv": 449, "set_robust_list": 273, "rseq": 334,
    "set_tid_address": 218, "restart_syscall": 219, "getrandom": 318, "exit": 60,
    "exit_group": 231, "clone": 56, "clone3": 435, "mmap": 9, "prctl": 157, "prlimit64": 302,
    "arch_prctl": 158, "ioctl": 16, "fcntl": 72, "kill": 62, "tgkill": 234, "socketpair": 53,
    "sendto": 44,
}

AARCH64 = {
    "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "pwrite64": 68,
    "close": 57, "close_range": 436, "fstat": 80, "newfstatat": 79, "statx": 291, "lseek": 62,
    "faccessat": 48, "faccessat2": 439, "openat": 56, "readlinkat": 78, "getdents64": 61,
    "getcwd": 17, "chdir": 49, "fchdir": 50, "mkdirat": 34, "unlinkat": 35, "renameat": 38,
    "renameat2": 276, "truncate": 45, "ftruncate": 46, "fallocate": 47, "fsync": 82,
    "fdatasync": 83, "flock": 32, "fadvise64": 223, "utimensat": 88, "statfs": 43,
    "fstatfs": 44, "umask": 166, "symlinkat": 36, "dup": 23, "dup3": 24, "pipe2": 59,
    "ppoll": 73, "pselect6": 72, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22,
    "eventfd2": 19, "recvfrom": 207, "munmap": 215, "mprotect": 226, "brk": 214, "mremap": 216,
    "madvise": 233, "mincore": 232, "membarrier": 283, "rt_sigaction": 134,
    "rt_sigprocmask": 135, "rt_sigreturn": 139, "rt_sigpending": 136, "rt_sigtimedwait": 137,
    "rt_sigsuspend": 133, "sigaltstack": 132, "nanosleep": 101, "clock_nanosleep": 115,
    "clock_gettime": 113, "clock_getres": 114, "gettimeofday": 169, "times": 153,
    "getitimer": 102, "setitimer": 103, "getpid": 172, "gettid": 178, "getppid": 173,
    "getpgid": 155, "getsid": 156, "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177,
    "getresuid": 148, "getresgid": 150, "getgroups": 158, "getrlimit": 163, "getrusage": 165,
    "getpriority": 141, "uname": 160, "sysinfo": 179, "getcpu": 168, "sched_yield": 124,
    "sched_getaffinity": 123, "sched_setaffinity": 122, "sched_getparam": 121,
    "sched_getscheduler": 120, "sched_get_priority_max": 125, "sched_get_priority_min": 126,
    "futex": 98, "futex_waitv": 449, "set_robust_list": 99, "rseq": 293,
    "set_tid_address": 96, "restart_syscall": 128, "getrandom": 278, "exit": 93,
    "exit_group": 94, "clone": 220, "clone3": 435, "mmap": 222, "prctl": 167, "prlimit64": 261,
    "ioctl": 29, "fcntl": 25, "kill": 129, "tgkill": 131, "socketpair": 199, "sendto": 206,
}
# fmt: on

NUMBERS = {"x86_64": X86_64, "aarch64": AARCH64}

AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""As the kernel names the machine to a filter; include/uapi/linux/audit.h."""
