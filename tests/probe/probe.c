/* SPDX-License-Identifier: MIT */
/*
 * What can somebody do who has taken over a daemon? Enters the jail of each row of
 * proc/jails.def, by the very functions that daemons call, tries what an intruder would try, and
 * prints a table: "yes" where it worked. tests/probe/run compares it with tests/probe/expected.
 *
 * Runs as root on a private directory. Every trial is a process of its own, since one that works
 * may end it. Templates of workers are left out: what a peer or a message says reaches workers alone.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "proc/jail.h"

enum { FIRST_UID = 60001, PROGRAM_WIDTH = 16 };
enum result { REFUSED = 10, WORKED = 11, BROKEN = 12 };

static struct {
	char directory[64];
	struct jail_place place;
	char *foreign;      /* a socket of somebody else, open to all */
	char abstract[32];  /* one without a file */
	uint16_t port;      /* somebody listens there on loopback */
	int program;        /* an executable file, open */
	pid_t victim;       /* a process with the uid of the jail */
	bool has_scopes;    /* Landlock of Linux 6.12 */
} world;

/* ---- what an intruder tries: true when it worked ---- */

static bool try_passwd(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool try_queue(void)
{
	char *full = mem_printf("%s/incoming/probe", world.place.queue_root);
	const char *const names[] = { "incoming/probe", "/incoming/probe", full };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (open(names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0)
			return true;
	return false;
}

static bool connect_unix(const char *name, size_t length)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, name, length);
	return fd >= 0 &&
	       connect(fd, (struct sockaddr *)&address,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) == 0;
}

static bool try_own(void)
{
	char *full = mem_printf("%s/peer", world.place.own_root);

	return connect_unix("/peer", sizeof("/peer")) ||
	       connect_unix("/jail/own/peer", sizeof("/jail/own/peer")) ||
	       connect_unix(full, strlen(full) + 1);
}

static bool try_foreign(void)
{
	return connect_unix(world.foreign, strlen(world.foreign) + 1);
}

/* Only Landlock refuses this, where the kernel has it: see jail_enter(). */
static bool try_abstract(void)
{
	if (!world.has_scopes && geteuid() != 0)
		return false;
	return connect_unix(world.abstract, sizeof(world.abstract));
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static bool try_inet(void)
{
	struct sockaddr_in address = loopback(world.port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool try_listen(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && listen(fd, 1) == 0;
}

static bool try_raw(void)
{
	return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) >= 0 ||
	       socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0 ||
	       socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0;
}

static bool try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0;
}

/* An executable needs its loader; that it is not there in a chroot is no refusal. */
static bool try_exec(void)
{
	char name[] = "true", *argv[] = { name, NULL }, *envp[] = { NULL };

	(void)syscall(SYS_execveat, world.program, "", argv, envp, AT_EMPTY_PATH);
	return errno != EPERM && errno != EACCES && errno != ENOSYS;
}

static bool try_ptrace(void)
{
	return ptrace(PTRACE_SEIZE, world.victim, NULL, NULL) == 0;
}

static bool try_kill(void)
{
	return kill(world.victim, SIGCONT) == 0 ||
	       syscall(SYS_tgkill, world.victim, world.victim, SIGCONT) == 0;
}

static bool try_limit(void)
{
	struct rlimit files = { 3, 3 };

	return syscall(SYS_prlimit64, world.victim, RLIMIT_NOFILE, &files, NULL) == 0;
}

/* Writes code and makes it run: both at once, or one after the other. */
static bool try_code(void)
{
	void *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return both != MAP_FAILED || mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool try_root(void)
{
	return setuid(0) == 0 || setresuid(0, 0, 0) == 0;
}

static bool try_namespace(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}

static const struct trial {
	const char *name;
	bool (*works)(void);
} trials[] = {
	{ "passwd", try_passwd },   /* read a file of the system */
	{ "queue", try_queue },     /* write in the queue */
	{ "own", try_own },         /* connect to a socket in its own directory */
	{ "foreign", try_foreign }, /* to one elsewhere */
	{ "abstract", try_abstract },
	{ "inet", try_inet },       /* connect over TCP */
	{ "listen", try_listen },
	{ "raw", try_raw },         /* raw packets, netlink */
	{ "fork", try_fork },
	{ "exec", try_exec },
	{ "ptrace", try_ptrace },   /* another process of the same uid */
	{ "kill", try_kill },
	{ "limit", try_limit },     /* set its limits */
	{ "code", try_code },       /* memory both written and executed */
	{ "root", try_root },
	{ "userns", try_namespace },
};

/* ---- in the jail ---- */

NORETURN static void run_trial(const struct jail *jail, const struct trial *trial)
{
	int status;
	pid_t pid;

	jail_enter(jail, &world.place);
	if ((jail->calls & JAIL_FORK) == 0)
		_exit(trial->works() ? WORKED : REFUSED);
	pid = fork();
	if (pid == 0) {
		jail_worker(jail);
		_exit(trial->works() ? WORKED : REFUSED);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		_exit(BROKEN);
	_exit(WEXITSTATUS(status));
}

static const char *outcome(const struct jail *jail, const struct trial *trial)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		run_trial(jail, trial);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return "died";
	switch (WEXITSTATUS(status)) {
	case 0: /* "true" ran */
	case WORKED: return "yes";
	case REFUSED: return "-";
	default: return "broken";
	}
}

static pid_t make_victim(const struct jail *jail)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (jail->uid != JAIL_UID_ROOT) {
		uid_t uid = world.place.ids[jail->uid].uid;

		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(1);
	}
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	for (;;)
		(void)pause();
}

static void probe_row(const char *program, const struct jail *jail)
{
	world.victim = make_victim(jail);
	printf("%-*s", PROGRAM_WIDTH, program);
	for (size_t i = 0; i < ARRAY_LEN(trials); i++)
		printf(" %-*s", (int)strlen(trials[i].name), outcome(jail, &trials[i]));
	printf("\n");
	(void)kill(world.victim, SIGKILL);
	(void)waitpid(world.victim, NULL, 0);
}

/* ---- the world outside ---- */

static int listen_unix(const char *name, size_t length)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, name, length);
	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&address,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0 ||
	    listen(fd, 1000) < 0 || (*name != '\0' && chmod(name, 0666) < 0))
		fatal("%s: %s", name, strerror(errno));
	return fd;
}

static void listen_inet(void)
{
	struct sockaddr_in address = loopback(0);
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 1000) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		fatal("loopback: %s", strerror(errno));
	world.port = ntohs(address.sin_port);
}

static char *make_directory(const char *name, uid_t owner, mode_t mode)
{
	char *path = mem_printf("%s/%s", world.directory, name);

	if (mkdir(path, 0700) < 0 || chown(path, owner, owner) < 0 || chmod(path, mode) < 0)
		fatal("%s: %s", path, strerror(errno));
	return path;
}

static void make_world(void)
{
	char *queue, *own;

	(void)snprintf(world.directory, sizeof(world.directory), "/tmp/probe.XXXXXX");
	if (mkdtemp(world.directory) == NULL || chmod(world.directory, 0755) < 0)
		fatal("%s: %s", world.directory, strerror(errno));
	for (unsigned i = 0; i < JAIL_UIDS; i++) {
		world.place.ids[i].uid = FIRST_UID + i;
		world.place.ids[i].gid = FIRST_UID + i;
	}
	queue = make_directory("queue", 0, 0755);
	free(make_directory("queue/incoming", world.place.ids[JAIL_UID_QUEUE].uid, 0700));
	free(make_directory("queue/jail", 0, 0755));
	own = make_directory("queue/jail/own", 0, 0755);
	world.place.may_chroot = true;
	world.place.queue_root = queue;
	world.place.own_root = own;

	char *peer = mem_printf("%s/peer", own);

	(void)listen_unix(peer, strlen(peer) + 1);
	free(peer);
	world.foreign = mem_printf("%s/foreign", world.directory);
	(void)listen_unix(world.foreign, strlen(world.foreign) + 1);
	(void)snprintf(world.abstract + 1, sizeof(world.abstract) - 1, "probe.%d", (int)getpid());
	(void)listen_unix(world.abstract, sizeof(world.abstract));
	listen_inet();
	world.has_scopes = syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 6;
	world.program = open("/bin/true", O_RDONLY | O_CLOEXEC);
}

static void remove_world(void)
{
	static const char *const files[] = { "queue/incoming/probe", "queue/jail/own/peer",
					     "foreign" };
	static const char *const directories[] = { "queue/incoming", "queue/jail/own", "queue/jail",
						   "queue", "" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *path = mem_printf("%s/%s", world.directory, files[i]);

		(void)unlink(path);
		free(path);
	}
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		char *path = mem_printf("%s/%s", world.directory, directories[i]);

		(void)rmdir(path);
		free(path);
	}
}

/* Each program that master can start must have a row. */
static void check_programs(void)
{
	static const char *const files[] = {
#define PROGRAM(program, executable, alone, types) executable,
#define INSIDE(service, program, by)
#define BUILTIN(service, kind, private, wakeup, limit, program)
#include "master/programs.def"
#undef PROGRAM
#undef INSIDE
#undef BUILTIN
	};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (jail_find(files[i]) == NULL)
			printf("%s has no jail\n", files[i]);
}

int main(void)
{
	const struct jail *jail;
	const char *program;

	log_open("probe", STDERR_FILENO);
	if (geteuid() != 0)
		fatal("must run as root: it changes to other uids");
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	make_world();
	printf("%-*s", PROGRAM_WIDTH, "program");
	for (size_t i = 0; i < ARRAY_LEN(trials); i++)
		printf(" %s", trials[i].name);
	printf("\n");
	for (size_t i = 0; jail_row(i, &program, &jail); i++)
		probe_row(program, jail);
	check_programs();
	remove_world();
	return 0;
}
