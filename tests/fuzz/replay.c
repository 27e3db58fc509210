/* SPDX-License-Identifier: MIT */
/* A plain main() for a fuzz target: gives it each file of the arguments once. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1024 * 1024 };

int main(int argc, char **argv)
{
	uint8_t *data = malloc(INPUT_MAX);

	for (int i = 1; i < argc && data != NULL; i++) {
		FILE *file = fopen(argv[i], "rb");
		size_t size;

		if (file == NULL) {
			perror(argv[i]);
			return 1;
		}
		size = fread(data, 1, INPUT_MAX, file);
		(void)fclose(file);
		(void)printf("%s\n", argv[i]);
		(void)fflush(stdout);
		(void)LLVMFuzzerTestOneInput(data, size);
	}
	free(data);
	return 0;
}
