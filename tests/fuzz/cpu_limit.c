/* SPDX-License-Identifier: MIT */
/*
 * Stands between libFuzzer and a target: an input that takes over a second of CPU time is a finding,
 * on a busy machine as well as on an idle one, where libFuzzer's own limit counts what others take.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Linked with --wrap=LLVMFuzzerTestOneInput. */
int __real_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t cpu_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t start_ms = cpu_ms(), took_ms;
	int result = __real_LLVMFuzzerTestOneInput(data, size);

	took_ms = cpu_ms() - start_ms;
	if (took_ms > 1000) {
		(void)fprintf(stderr, "this input took %lld ms of CPU time\n", (long long)took_ms);
		abort();
	}
	return result;
}
