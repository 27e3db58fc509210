/* SPDX-License-Identifier: MIT */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

/*
 * CRC-32C (Castagnoli, RFC 3720 B.4) of `data`, going on from `crc` (0 at first). Uses the
 * processor's instruction where there is one.
 */

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t size);

#endif
