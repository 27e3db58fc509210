/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

/*
 * The unit test frame: a test program is functions `static void test_NAME(void)` that use
 * CHECK and its kin, and `int main(void) { TEST(NAME); ...; return test_end(); }`. It prints
 * "ok NAME" or "not ok NAME" for each, which tests/unit/run counts.
 */

#include <stdio.h>
#include <string.h>

#include "base/span.h"

static int test_failures_here, test_failures;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			test_failures_here++; \
			printf("# %s:%d: false: %s\n", __FILE__, __LINE__, #condition); \
		} \
	} while (0)

#define CHECK_INT(got, want) \
	do { \
		long long got_ = (long long)(got), want_ = (long long)(want); \
		if (got_ != want_) { \
			test_failures_here++; \
			printf("# %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, got_, want_); \
		} \
	} while (0)

#define CHECK_STR(got, want) \
	do { \
		const char *got_ = (got), *want_ = (want); \
		if (got_ == NULL || want_ == NULL ? got_ != want_ : strcmp(got_, want_) != 0) { \
			test_failures_here++; \
			printf("# %s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #got, \
			       got_ != NULL ? got_ : "(null)", want_ != NULL ? want_ : "(null)"); \
		} \
	} while (0)

#define CHECK_SPAN(got, want) \
	do { \
		struct span got_ = (got); \
		const char *want_ = (want); \
		if (!span_is(got_, want_)) { \
			test_failures_here++; \
			printf("# %s:%d: %s is \"%.*s\", not \"%s\"\n", __FILE__, __LINE__, #got, \
			       SPAN_ARG(got_), want_); \
		} \
	} while (0)

#define TEST(name) \
	do { \
		test_failures_here = 0; \
		test_##name(); \
		printf("%s %s\n", test_failures_here > 0 ? "not ok" : "ok", #name); \
		test_failures += test_failures_here > 0; \
	} while (0)

static inline int test_end(void)
{
	return test_failures > 0;
}

#endif
