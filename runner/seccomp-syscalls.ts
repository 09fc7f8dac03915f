/**
 * System calls that a container may make whatever their arguments, by purpose. All of them act on what the process
 * already holds, or are checked by the kernel against its capabilities. The names cover 64-bit and 32-bit ABIs; a name
 * that an architecture or a runtime's libseccomp doesn't know has no effect there.
 *
 * Left out on purpose, hence refused: whatever changes mounts or namespaces (mount, umount2, pivot_root, fsopen, open_tree,
 * move_mount, mount_setattr, unshare, setns), loads code into the kernel or traces it (bpf, init_module, kexec_load,
 * perf_event_open), keeps state that no namespace divides (keyctl, add_key, request_key, swapon, settimeofday, syslog,
 * quotactl, acct, reboot), opens files by handle past all checks (open_by_handle_at), or has let many exploits through and
 * is missed by few programs (io_uring_setup, userfaultfd, modify_ldt).
 */
export const ALLOWED_SYSCALLS = {
  files: `
    access chdir chmod chown chown32 chroot close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
    fadvise64 fadvise64_64 arm_fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl
    fcntl64 fdatasync file_getattr flock fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat
    getcwd getdents getdents64 lchown lchown32 link linkat _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat
    name_to_handle_at newfstatat open openat openat2 readlink readlinkat rename renameat renameat2 rmdir stat stat64
    statfs statfs64 statx symlink symlinkat sync syncfs sync_file_range sync_file_range2 arm_sync_file_range truncate
    truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes`,
  attributes: `
    fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
    lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat`,
  transfer: `
    io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit pipe pipe2 pread64 preadv
    preadv2 pwrite64 pwritev pwritev2 read readahead readv sendfile sendfile64 splice tee vmsplice write writev`,
  waiting: `
    epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 inotify_add_watch
    inotify_init inotify_init1 inotify_rm_watch _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 select
    signalfd signalfd4 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64`,
  memory: `
    brk cachestat get_mempolicy madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2
    mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
    process_madvise process_mrelease remap_file_pages`,
  processes: `
    arch_prctl execve execveat exit exit_group fork getcpu getpgid getpgrp getpid getppid getpriority getrlimit getrusage
    getsid gettid ioprio_get ioprio_set nice pidfd_open prctl prlimit64 restart_syscall sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
    set_thread_area get_thread_area set_tid_address set_tls setpgid setpriority setrlimit setsid times ugetrlimit vfork
    wait4 waitid waitpid`,
  locking: `
    futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list rseq set_robust_list`,
  signals: `
    alarm getitimer kill pause pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
    rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo setitimer sigaction sigaltstack signal
    sigpending sigprocmask sigreturn sigsuspend tgkill tkill`,
  // Between processes of one container only: its pid namespace and the ptrace access check end there (Linux 4.8 and
  // later apply this filter also to what a tracer changes).
  debugging: 'pidfd_getfd process_vm_readv process_vm_writev ptrace uprobe uretprobe',
  identity: `
    capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32
    getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32
    setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32`,
  // A program may only narrow what it is allowed itself.
  confinement: `
    landlock_add_rule landlock_create_ruleset landlock_restrict_self lsm_get_self_attr lsm_list_modules seccomp`,
  time: `
    adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
    clock_nanosleep_time64 gettimeofday nanosleep time timer_create timer_delete timer_getoverrun timer_gettime
    timer_gettime64 timer_settime timer_settime64`,
  sockets: `
    accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg
    send sendmmsg sendmsg sendto setsockopt shutdown socketpair`,
  // System V and POSIX queues of the container's own ipc namespace.
  messages: `
    ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
    msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget`,
  system: 'breakpoint cacheflush getrandom olduname oldolduname sysinfo uname',
} as const

/** The names of all groups. */
export function allowedSyscalls(): string[] {
  return Object.values(ALLOWED_SYSCALLS).flatMap((names) => names.trim().split(/\s+/))
}

/** Calls that do nothing without a capability, for containers that were given it. */
const BY_CAPABILITY: Readonly<Record<string, string>> = {
  CAP_BPF: 'bpf',
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_PERFMON: 'perf_event_open',
  CAP_SYS_ADMIN: `
    bpf fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree
    perf_event_open pivot_root quotactl quotactl_fd setdomainname sethostname setns swapoff swapon syslog umount umount2
    unshare`,
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_MODULE: 'delete_module finit_module init_module',
  CAP_SYS_NICE: 'mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp',
  CAP_SYS_RAWIO: 'ioperm iopl',
  CAP_SYS_TIME: 'clock_settime clock_settime64 settimeofday stime',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYSLOG: 'syslog',
}

/** The names of {@link BY_CAPABILITY} for some capabilities. */
export function syscallsWith(capabilities: readonly string[]): string[] {
  const names = capabilities.flatMap((name) => (BY_CAPABILITY[name] ?? '').trim().split(/\s+/))
  return [...new Set(names.filter((name) => name !== ''))]
}
