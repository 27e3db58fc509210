/* SPDX-License-Identifier: MIT */
#ifndef PROC_FILTER_H
#define PROC_FILTER_H

/*
 * A list of the system calls that a process may make: seccomp(2), classic BPF. It is built in
 * place, without memory of its own, so that running out of memory cannot make it weaker. All
 * calls that no rule allows fail with EPERM; those of another architecture end the process.
 */

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum { FILTER_MAX = 512 };

struct call_filter {
	struct sock_filter code[FILTER_MAX];
	unsigned short count;
};

void filter_start(struct call_filter *filter);

/* Allows a call whatever its arguments are. Rules beyond FILTER_MAX instructions are a panic. */
void filter_allow(struct call_filter *filter, long call);

/*
 * Allows a call when the low half of one argument (0 to 5), masked, is `value`. Several rules for
 * one call allow what any of them does.
 */
void filter_allow_if(struct call_filter *filter, long call, unsigned argument, uint32_t mask,
		     uint32_t value);

/* From here on, for good, and for what this process forks. False with errno. */
MUST_USE bool filter_load(struct call_filter *filter);

#endif
