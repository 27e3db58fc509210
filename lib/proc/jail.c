/* SPDX-License-Identifier: MIT */
/*
 * Entering a jail: chroot, uid, no_new_privs, limits, system call filter; see jail.h. Called as
 * root, once, between prepare() and start() of a service.
 */

#include "proc/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <seccomp.h>
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

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

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

/* What every process needs on what it has open. */
static const int calls_base[] = {
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pread64),
	SCMP_SYS(pwrite64), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(lseek), SCMP_SYS(fcntl),
	SCMP_SYS(dup), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(eventfd2),
	SCMP_SYS(pipe2), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendto),
	SCMP_SYS(recvfrom), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(sendfile),
	SCMP_SYS(accept4), SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	SCMP_SYS(futex), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(getppid),
	SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(signalfd4),
	SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield), SCMP_SYS(getrandom),
	SCMP_SYS(getrlimit), SCMP_SYS(setrlimit), SCMP_SYS(getrusage), SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(membarrier), SCMP_SYS(fstatfs),
};

static const int calls_files[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat),
	SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(link),
	SCMP_SYS(linkat), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(getdents64), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(flock), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),
	SCMP_SYS(fchown), SCMP_SYS(fchownat), SCMP_SYS(utimensat), SCMP_SYS(umask),
	SCMP_SYS(getcwd), SCMP_SYS(chdir), SCMP_SYS(fchdir), SCMP_SYS(statfs), SCMP_SYS(fadvise64),
};

static void allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);

		if (error < 0 && error != -EDOM)
			fatal("seccomp: rule %d: %s", calls[i], strerror(-error));
	}
}

static void allow_socket(scmp_filter_ctx filter, int family)
{
	(void)seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
			       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family, 0));
}

/* fstat(3) is made of this call; it looks at a descriptor, not at a name. */
static void allow_fstat(scmp_filter_ctx filter)
{
	(void)seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
			       SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH, 0));
}

/* Memory may be writable or executable, never both, and nothing becomes executable. */
static void allow_memory(scmp_filter_ctx filter)
{
	(void)seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	(void)seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

/* Calls that may be about this process, and not about another. */
static void allow_own(scmp_filter_ctx filter, const struct jail *jail)
{
	(void)seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
			       SCMP_A0(SCMP_CMP_EQ, 0, 0));
	/* abort() and raise(). Workers inherit this filter: jail_worker() has their number. */
	if ((jail->calls & JAIL_FORK) != 0)
		(void)seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 0);
	else
		(void)seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
}

static void filter_calls(const struct jail *jail)
{
	/* seccomp: jail_worker() adds a filter, and none was ever taken away. */
	static const int calls_fork[] = { SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(fork),
					  SCMP_SYS(wait4), SCMP_SYS(waitid), SCMP_SYS(seccomp) };
	static const int calls_connect[] = { SCMP_SYS(connect) };
	static const int calls_bind[] = { SCMP_SYS(bind) };
	scmp_filter_ctx filter;
	int error;

	if (HAS_SANITIZER)
		return;
	/* Refused calls fail with EPERM: a library that probes goes on, an intruder gets nothing. */
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (filter == NULL)
		fatal("seccomp: out of memory");
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	allow(filter, calls_base, ARRAY_LEN(calls_base));
	allow_memory(filter);
	allow_fstat(filter);
	allow_own(filter, jail);
	if ((jail->calls & JAIL_FILES) != 0)
		allow(filter, calls_files, ARRAY_LEN(calls_files));
	if ((jail->calls & JAIL_FORK) != 0)
		allow(filter, calls_fork, ARRAY_LEN(calls_fork));
	if ((jail->calls & (JAIL_UNIX | JAIL_INET)) != 0)
		allow(filter, calls_connect, ARRAY_LEN(calls_connect));
	if ((jail->calls & JAIL_UNIX) != 0)
		allow_socket(filter, AF_UNIX);
	if ((jail->calls & JAIL_INET) != 0) {
		allow_socket(filter, AF_INET);
		allow_socket(filter, AF_INET6);
		allow(filter, calls_bind, ARRAY_LEN(calls_bind));
	}
	error = seccomp_load(filter);
	if (error < 0)
		fatal("seccomp: %s", strerror(-error));
	seccomp_release(filter);
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
 * A few instructions instead of libseccomp, since this runs for each worker. That the numbers are
 * those of this architecture is what the template's filter has seen to.
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
