/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into every program by a harness (preload.py): counts the allocations of each program and
 * lets the chosen one fail, and starts it with fewer descriptors or without the right to fork.
 * What both sides know stands in a mapped file (-DCONTROL), which is opened before main() and so
 * before any jail. Trusts its harness.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SLOTS = 64, NAME_BYTES = 24 };

/* One program. All of its processes count together, and its harness reads and resets. */
struct slot {
	char name[NAME_BYTES]; /* written by the harness, empty behind the last */
	_Atomic uint32_t count;
	_Atomic uint32_t fail_at;  /* 0: none fails */
	_Atomic uint32_t persists; /* whether all fail from there on, in that process */
	_Atomic uint32_t failed;   /* allocations that did */
	_Atomic uint32_t in_libc;  /* of them those that the C library made for itself */
	_Atomic uint32_t descriptors; /* limits from the start on; 0: as they are */
	_Atomic uint32_t processes;   /* 1: none, which does not hold for root */
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static struct slot *slot;
static bool is_exhausted;

static void set_limit(int resource, rlim_t most)
{
	struct rlimit limit = { most, most };

	(void)setrlimit((__rlimit_resource_t)resource, &limit);
}

__attribute__((constructor)) static void begin(void)
{
	int fd = open(CONTROL, O_RDWR | O_CLOEXEC);
	struct slot *all;

	if (fd < 0)
		return;
	all = mmap(NULL, SLOTS * sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (all == MAP_FAILED)
		return;
	for (int i = 0; i < SLOTS && all[i].name[0] != '\0'; i++)
		if (strncmp(all[i].name, program_invocation_short_name, NAME_BYTES) == 0)
			slot = &all[i];
	if (slot != NULL && slot->descriptors != 0)
		set_limit(RLIMIT_NOFILE, slot->descriptors);
	if (slot != NULL && slot->processes != 0)
		set_limit(RLIMIT_NPROC, 0);
}

static bool is_in_libc(const void *caller)
{
	Dl_info info;

	return dladdr(caller, &info) != 0 && strstr(info.dli_fname, "/libc.so") != NULL;
}

static bool must_fail(const void *caller)
{
	uint32_t number;

	if (slot == NULL)
		return false;
	number = atomic_fetch_add(&slot->count, 1) + 1;
	if (!is_exhausted && number != atomic_load(&slot->fail_at))
		return false;
	is_exhausted = atomic_load(&slot->persists) != 0;
	(void)atomic_fetch_add(&slot->failed, 1);
	(void)atomic_fetch_add(&slot->in_libc, is_in_libc(caller));
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return must_fail(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return must_fail(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return must_fail(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}
