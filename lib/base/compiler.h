/* SPDX-License-Identifier: MIT */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

/* The few GNU attributes that the code uses, under names that say what they promise. */

#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#define UNUSED __attribute__((unused))

/*
 * A big local array of the busiest paths, which is written before it is read: without this the compiler
 * clears it each time (-ftrivial-auto-var-init=zero).
 */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define NOT_CLEARED __attribute__((uninitialized))
#endif
#endif
#ifndef NOT_CLEARED
#define NOT_CLEARED
#endif

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* The struct that holds `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* Whether this is a build with the address sanitizer, which needs system calls and memory of its own. */
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

#endif
