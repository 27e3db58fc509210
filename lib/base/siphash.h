/* SPDX-License-Identifier: MIT */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

/*
 * SipHash-2-4 (Aumasson, Bernstein 2012): 64 bits over `data` that nobody can make without the
 * key. For tokens between our own processes; not for anything that lives longer.
 */

#include <stdint.h>

#include "base/span.h"

struct siphash_key {
	uint64_t k0, k1;
};

uint64_t siphash(const struct siphash_key *key, struct span data);

#endif
