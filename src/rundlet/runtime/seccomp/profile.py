"""The profile of an ordinary container, as data: what it may call, by what the calls are about.

Whatever is not named is refused with EPERM. Left out on purpose: loading code into the kernel, mounting, making or
joining namespaces, other processes' descriptors, the machine's clock, power and accounting, keyrings (not
namespaced), io_uring, userfaultfd and bpf (rich sources of kernel bugs), NUMA policy, raw hardware access, and
what is obsolete. A capability that exists to allow a call brings the call back.

It grants what Docker's default profile grants on these architectures, so that images which run there run here
(https://docs.docker.com/engine/security/seccomp/), but for two ways around it: 32-bit programs, see
:mod:`rundlet.runtime.seccomp.compiler`, and socket families beyond 32 bits, see below.
"""

from __future__ import annotations

import errno
from typing import Any

_FILES = """
    open openat openat2 creat close close_range read write readv writev pread64 pwrite64 preadv pwritev preadv2
    pwritev2 lseek sendfile copy_file_range splice tee vmsplice readahead fadvise64 fallocate truncate ftruncate
    fsync fdatasync sync syncfs sync_file_range cachestat dup dup2 dup3 fcntl flock ioctl pipe pipe2
    stat fstat lstat newfstatat fstatat statx access faccessat faccessat2 readlink readlinkat getdents getdents64
    getcwd chdir fchdir mkdir mkdirat rmdir link linkat symlink symlinkat unlink unlinkat rename renameat renameat2
    mknod mknodat chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat umask
    utime utimes utimensat futimesat statfs fstatfs name_to_handle_at statmount listmount
    getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr
    listxattrat removexattr lremovexattr fremovexattr removexattrat
    inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
"""
_WAITING = """
    select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old
    epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime timerfd_gettime
    io_setup io_submit io_cancel io_getevents io_pgetevents io_destroy
    futex futex_wait futex_wake futex_waitv futex_requeue get_robust_list set_robust_list
"""
_MEMORY = """
    brk mmap munmap mremap mprotect msync madvise mincore mlock mlock2 mlockall munlock munlockall mseal membarrier
    remap_file_pages memfd_create memfd_secret map_shadow_stack pkey_alloc pkey_free pkey_mprotect
"""
_PROCESSES = """
    fork vfork execve execveat exit exit_group wait4 waitid kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo
    pidfd_open pidfd_send_signal process_mrelease prctl set_tid_address get_thread_area set_thread_area rseq
    getpid getppid gettid getpgid setpgid getpgrp getsid setsid getrlimit setrlimit prlimit64 getrusage times
    getpriority setpriority ioprio_get ioprio_set sched_yield sched_getaffinity sched_setaffinity sched_getattr
    sched_setattr sched_getparam sched_setparam sched_getscheduler sched_setscheduler sched_get_priority_max
    sched_get_priority_min sched_rr_get_interval getcpu restart_syscall uretprobe
    seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
    ptrace process_vm_readv process_vm_writev
"""
_SIGNALS = """
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sigaltstack pause alarm
    getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime timer_settime
"""
_IDENTITY = """
    getuid geteuid getgid getegid getgroups getresuid getresgid setuid setgid setgroups setreuid setregid setresuid
    setresgid setfsuid setfsgid capget capset
"""
_TIME = """
    time gettimeofday nanosleep clock_getres clock_gettime clock_nanosleep
    adjtimex clock_adjtime
"""
"""The last two read the clock; to set it takes a capability, which the kernel asks for."""
_NETWORK = """
    socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt
    sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg
"""
_IPC = """
    shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl
    mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
"""
_SYSTEM = "uname sysinfo getrandom"

_NAMESPACE_FLAGS = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
_AF_ALG = 38
_LATER_FAMILIES = (39, 41, 42, 43, 44, 45)
"""The address families after AF_ALG but AF_VSOCK (40): AF_NFC, KCM, QIPCRTR, SMC, XDP, MCTP."""


def _allow(names: str, **conditions: Any) -> dict[str, Any]:
    return {"names": names.split(), "action": "SCMP_ACT_ALLOW", **conditions}


def _argument(index: int, operator: str, value: int, datum: int = 0) -> dict[str, Any]:
    return {"index": index, "op": f"SCMP_CMP_{operator}", "value": value, "valueTwo": datum}


def _with(*capabilities: str) -> dict[str, Any]:
    return {"includes": {"caps": list(capabilities)}}


def _without(*capabilities: str) -> dict[str, Any]:
    return {"excludes": {"caps": list(capabilities)}}


_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""PER_LINUX, PER_LINUX32, both with UNAME26, and the question which one it is: none relaxes a protection."""

DEFAULT: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": errno.EPERM,
    "syscalls": [
        *map(_allow, (_FILES, _WAITING, _MEMORY, _PROCESSES, _SIGNALS, _IDENTITY, _TIME, _NETWORK, _IPC, _SYSTEM)),
        # AF_ALG and AF_VSOCK are not confined by a network namespace. Each allowed family is named: the filter
        # compares 64 bits and the kernel looks at 32, so "greater than 40" would let 2**32 + 38 pass as AF_ALG.
        _allow("socket", args=[_argument(0, "LT", _AF_ALG)]),
        *(_allow("socket", args=[_argument(0, "EQ", family)]) for family in _LATER_FAMILIES),
        *(_allow("personality", args=[_argument(0, "EQ", value)]) for value in _PERSONALITIES),
        _allow("arch_prctl modify_ldt", includes={"arches": ["amd64"]}),
        # Threads and processes, but no namespaces. clone3 hides its flags behind a pointer: pretend that it does
        # not exist, and C libraries fall back to clone.
        _allow("clone", args=[_argument(0, "MASKED_EQ", _NAMESPACE_FLAGS, 0)], **_without("CAP_SYS_ADMIN")),
        {
            "names": ["clone3"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": errno.ENOSYS,
            **_without("CAP_SYS_ADMIN"),
        },
        _allow(
            """bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
            lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl
            quotactl_fd setdomainname sethostname setns syslog umount2 unshare""",
            **_with("CAP_SYS_ADMIN"),
        ),
        _allow("chroot", **_with("CAP_SYS_CHROOT")),
        _allow("open_by_handle_at", **_with("CAP_DAC_READ_SEARCH")),
        _allow("reboot", **_with("CAP_SYS_BOOT")),
        _allow("init_module finit_module delete_module", **_with("CAP_SYS_MODULE")),
        _allow("acct", **_with("CAP_SYS_PACCT")),
        _allow("kcmp pidfd_getfd process_madvise", **_with("CAP_SYS_PTRACE")),
        _allow("iopl ioperm", **_with("CAP_SYS_RAWIO")),
        _allow("settimeofday clock_settime", **_with("CAP_SYS_TIME")),
        _allow("vhangup", **_with("CAP_SYS_TTY_CONFIG")),
        _allow("get_mempolicy mbind set_mempolicy set_mempolicy_home_node", **_with("CAP_SYS_NICE")),
        _allow("syslog", **_with("CAP_SYSLOG")),
        _allow("bpf", **_with("CAP_BPF")),
        _allow("perf_event_open", **_with("CAP_PERFMON")),
    ],
}
