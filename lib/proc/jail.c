/* SPDX-License-Identifier: MIT */
/*
 * Entering a jail: chroot, uid, no_new_privs, limits, system call filter; see jail.h. Called as
 * root, once, between prepare() and start() of a service.
 */

#include "proc/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "proc/filter.h"

static const struct {
	const char *program;
	struct jail jail;
} rows[] = {
#define JAIL(program, uid, root, calls) \
	{ #program, { JAIL_UID_##uid, JAIL_ROOT_##root, calls } },
#include "proc/jails.def"
#undef JAIL
};

bool jail_row(size_t index, const char **ret_program, const struct jail **ret_jail)
{
	if (index >= ARRAY_LEN(rows))
		return false;
	*ret_program = rows[index].program;
	*ret_jail = &rows[index].jail;
	return true;
}

const struct jail *jail_find(const char *program)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].program, program) == 0)
			return &rows[i].jail;
	return NULL;
}

/* What every process needs on what it has open. Old calls are missing on newer architectures. */
static const long calls_base[] = {
	SYS_read, SYS_readv, SYS_write, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_close,
	SYS_fstat, SYS_lseek, SYS_fcntl, SYS_dup, SYS_ppoll, SYS_epoll_create1, SYS_epoll_ctl,
	SYS_epoll_pwait, SYS_eventfd2, SYS_pipe2, SYS_sendmsg, SYS_recvmsg, SYS_sendto,
	SYS_recvfrom, SYS_sendmmsg, SYS_recvmmsg, SYS_sendfile, SYS_accept4, SYS_shutdown,
	SYS_getsockopt, SYS_setsockopt, SYS_getsockname, SYS_getpeername, SYS_clock_gettime,
	SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_futex, SYS_brk, SYS_munmap,
	SYS_mremap, SYS_madvise, SYS_exit, SYS_exit_group, SYS_getpid, SYS_getppid, SYS_gettid,
	SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_rt_sigaction, SYS_rt_sigprocmask,
	SYS_rt_sigreturn, SYS_sigaltstack, SYS_signalfd4, SYS_restart_syscall, SYS_sched_yield,
	SYS_getrandom, SYS_setrlimit, SYS_getrusage, SYS_set_robust_list, SYS_rseq, SYS_sysinfo,
	SYS_uname, SYS_membarrier, SYS_fstatfs, SYS_setitimer,
#ifdef SYS_poll
	SYS_poll, SYS_epoll_wait, SYS_time, SYS_getrlimit, SYS_alarm,
#endif
};

static const long calls_files[] = {
	SYS_openat, SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_faccessat2, SYS_renameat2,
	SYS_linkat, SYS_unlinkat, SYS_mkdirat, SYS_getdents64, SYS_readlinkat, SYS_flock,
	SYS_fsync, SYS_fdatasync, SYS_ftruncate, SYS_fallocate, SYS_fchmod, SYS_fchmodat,
	SYS_fchown, SYS_fchownat, SYS_utimensat, SYS_umask, SYS_getcwd, SYS_chdir, SYS_fchdir,
	SYS_statfs, SYS_fadvise64,
#ifdef SYS_open
	SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_rename, SYS_renameat, SYS_link,
	SYS_unlink, SYS_mkdir, SYS_rmdir, SYS_readlink,
#endif
};

static void allow(struct call_filter *filter, const long *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		filter_allow(filter, calls[i]);
}

static void allow_socket(struct call_filter *filter, unsigned family)
{
	filter_allow_if(filter, SYS_socket, 0, UINT32_MAX, family);
}

/* fstat(3) is made of this call; it looks at a descriptor, not at a name. */
static void allow_fstat(struct call_filter *filter)
{
	filter_allow_if(filter, SYS_newfstatat, 3, UINT32_MAX, AT_EMPTY_PATH);
}

/* Memory may be writable or executable, never both, and nothing becomes executable. */
static void allow_memory(struct call_filter *filter)
{
	filter_allow_if(filter, SYS_mmap, 2, PROT_EXEC, 0);
	filter_allow_if(filter, SYS_mprotect, 2, PROT_EXEC, 0);
}

/* Calls that may be about this process, and not about another. */
static void allow_own(struct call_filter *filter, const struct jail *jail)
{
	filter_allow_if(filter, SYS_prlimit64, 0, UINT32_MAX, 0);
	/* abort() and raise(). Workers inherit this filter: jail_worker() has their number. */
	if ((jail->calls & JAIL_FORK) != 0)
		filter_allow(filter, SYS_tgkill);
	else
		filter_allow_if(filter, SYS_tgkill, 0, UINT32_MAX, (uint32_t)getpid());
}

static void filter_calls(const struct jail *jail)
{
	/* seccomp: jail_worker() adds a filter, and none was ever taken away. */
	static const long calls_fork[] = {
		SYS_clone, SYS_clone3, SYS_wait4, SYS_waitid, SYS_seccomp,
#ifdef SYS_fork
		SYS_fork,
#endif
	};
	struct call_filter filter;

	if (HAS_SANITIZER)
		return;
	/* Refused calls fail with EPERM: a library that probes goes on, an intruder gets nothing. */
	filter_start(&filter);
	allow(&filter, calls_base, ARRAY_LEN(calls_base));
	allow_memory(&filter);
	allow_fstat(&filter);
	allow_own(&filter, jail);
	if ((jail->calls & JAIL_FILES) != 0)
		allow(&filter, calls_files, ARRAY_LEN(calls_files));
	if ((jail->calls & JAIL_READ) != 0)
		filter_allow_if(&filter, SYS_openat, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY);
	if ((jail->calls & JAIL_FORK) != 0)
		allow(&filter, calls_fork, ARRAY_LEN(calls_fork));
	if ((jail->calls & (JAIL_UNIX | JAIL_INET)) != 0)
		filter_allow(&filter, SYS_connect);
	if ((jail->calls & JAIL_UNIX) != 0)
		allow_socket(&filter, AF_UNIX);
	if ((jail->calls & JAIL_INET) != 0) {
		allow_socket(&filter, AF_INET);
		allow_socket(&filter, AF_INET6);
		filter_allow(&filter, SYS_bind);
	}
	if (!filter_load(&filter))
		fatal("seccomp: %s", strerror(errno));
}

/*
 * Signals and abstract sockets know no root directory; Landlock keeps them in the family, where
 * the kernel can do that (6.12). Beside this the filter refuses most of it.
 */
static void confine_scope(void)
{
	/* The structure and values of that version: the C library's header may be older. */
	const struct {
		uint64_t files, network, scoped;
	} rules = { .scoped = 1 << 0 | 1 << 1 };
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1), ruleset;

	if (version < 6)
		return;
	ruleset = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	if (ruleset < 0 || syscall(SYS_landlock_restrict_self, (int)ruleset, 0) < 0)
		fatal("landlock: %s", strerror(errno));
	(void)close((int)ruleset);
}

static void change_root(const struct jail *jail, const struct jail_place *place)
{
	const char *root = jail->root == JAIL_ROOT_QUEUE ? place->queue_root : place->own_root;

	if (place->is_single_uid || jail->root == JAIL_ROOT_NONE || !place->may_chroot) {
		/* Where the queue is: relative names mean the same with and without chroot. */
		if (chdir(jail->root == JAIL_ROOT_OWN && !place->is_single_uid ? "/" : place->queue_root) < 0)
			fatal("chdir %s: %s", place->queue_root, strerror(errno));
		return;
	}
	if (chroot(root) < 0 || chdir("/") < 0)
		fatal("chroot %s: %s", root, strerror(errno));
}

static bool change_groups(const struct jail *jail, uid_t uid, gid_t gid)
{
	const struct passwd *user = (jail->calls & JAIL_GROUPS) != 0 ? getpwuid(uid) : NULL;

	return user != NULL ? initgroups(user->pw_name, gid) == 0 : setgroups(0, NULL) == 0;
}

static void change_uid(const struct jail *jail, const struct jail_place *place)
{
	if (place->is_single_uid || jail->uid == JAIL_UID_ROOT)
		return;

	uid_t uid = place->ids[jail->uid].uid;
	gid_t gid = place->ids[jail->uid].gid;

	if (!change_groups(jail, uid, gid) || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		fatal("setresuid %ld: %s", (long)uid, strerror(errno));
	if (setuid(0) == 0)
		fatal("root came back after setresuid %ld", (long)uid);
}

void jail_enter(const struct jail *jail, const struct jail_place *place)
{
	struct rlimit no_core = { 0, 0 };

	/* Read /etc/localtime now: the C library would look for it at every localtime(). */
	if (getenv("TZ") == NULL)
		(void)setenv("TZ", ":/etc/localtime", 1);
	tzset();

	if (!HAS_SANITIZER)
		(void)setrlimit(RLIMIT_CORE, &no_core);
	change_root(jail, place);
	change_uid(jail, place);
	if ((jail->calls & JAIL_ANY) != 0)
		return;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		fatal("prctl: %s", strerror(errno));
	confine_scope();
	filter_calls(jail);
}

/* Where the low half of a call's first argument stands. */
enum {
	FIRST_ARGUMENT = offsetof(struct seccomp_data, args) +
			 (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? sizeof(uint32_t) : 0)
};

#define BPF_EQUALS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), yes, no)
#define BPF_ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define BPF_REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define BPF_REFUSE_CALL(call) BPF_EQUALS(SYS_##call, 0, 1), BPF_REFUSE

/*
 * Only what is refused, since this runs for each worker. That the numbers are those of this
 * architecture is what the template's filter has seen to.
 */
void jail_worker(const struct jail *jail)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_REFUSE_CALL(clone),
		BPF_REFUSE_CALL(clone3),
#ifdef SYS_fork
		BPF_REFUSE_CALL(fork),
#endif
		BPF_REFUSE_CALL(seccomp),
		BPF_EQUALS(SYS_tgkill, 1, 0),
		BPF_ALLOW,
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIRST_ARGUMENT),
		BPF_EQUALS(getpid(), 0, 1),
		BPF_ALLOW,
		BPF_REFUSE,
	};
	struct sock_fprog filter = { ARRAY_LEN(code), code };

	if (HAS_SANITIZER || (jail->calls & JAIL_FORK) == 0)
		return;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
		fatal("seccomp: %s", strerror(errno));
}
