/* SPDX-License-Identifier: MIT */
/*
 * System call filters, as instructions; see filter.h. The number of the call is in the accumulator
 * before and behind each rule. The kernel (5.11) remembers which calls are allowed always, so the
 * order of the rules costs next to nothing.
 */

#include "proc/filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCHITECTURE AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define ARCHITECTURE AUDIT_ARCH_S390X
#else
#error "Which AUDIT_ARCH_ of linux/audit.h is this architecture?"
#endif

#define LOAD(field) ((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(field)))
#define LOAD_CALL LOAD(offsetof(struct seccomp_data, nr))
#define RETURN(action) ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action))
/* Goes on when the accumulator is `value`, else behind the next `skip` instructions. */
#define UNLESS(value, skip) \
	((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, skip))

static void add(struct call_filter *filter, struct sock_filter instruction)
{
	if (filter->count == FILTER_MAX)
		panic("system call filter: more than %d instructions", FILTER_MAX);
	filter->code[filter->count++] = instruction;
}

void filter_start(struct call_filter *filter)
{
	filter->count = 0;
	add(filter, LOAD(offsetof(struct seccomp_data, arch)));
	add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
	add(filter, RETURN(SECCOMP_RET_KILL_PROCESS));
	add(filter, LOAD_CALL);
}

void filter_allow(struct call_filter *filter, long call)
{
	add(filter, UNLESS(call, 1));
	add(filter, RETURN(SECCOMP_RET_ALLOW));
}

void filter_allow_if(struct call_filter *filter, long call, unsigned argument, uint32_t mask,
		     uint32_t value)
{
	size_t low_half = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? sizeof(uint32_t) : 0;

	add(filter, UNLESS(call, 5));
	add(filter, LOAD(offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t) + low_half));
	add(filter, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
	add(filter, UNLESS(value, 1));
	add(filter, RETURN(SECCOMP_RET_ALLOW));
	add(filter, LOAD_CALL);
}

bool filter_load(struct call_filter *filter)
{
	struct sock_fprog program;

	add(filter, RETURN(SECCOMP_RET_ERRNO | EPERM));
	program = (struct sock_fprog){ filter->count, filter->code };
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}
