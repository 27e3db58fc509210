/* SPDX-License-Identifier: MIT */
/* Match lists and names of tables: LIST NUL NAME NUL ADDRESS. No files are opened. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "table/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size }, list, rest, name, address;
	struct buf error = BUF_INIT(1 << 20);

	/* Names of files have a "/"; networks are reached through cidr: without. */
	if (size > 4096 || !span_cut(input, '\0', &list, &rest) || span_has(list, '/') ||
	    !span_cut(rest, '\0', &name, &address))
		return 0;
	for (int kind = MATCH_STRING; kind <= MATCH_ADDRESS; kind++) {
		struct match_list *match = match_open("fuzz", list, (enum match_kind)kind,
						      TABLE_FOLD | TABLE_UTF8, &error);
		enum match_result result = MATCH_NO;

		if (match != NULL)
			result = kind >= MATCH_CLIENT ? match_client(match, NULL, name, address)
						      : match_name(match, NULL, name);
		if (result == MATCH_PENDING)
			abort();
		if (match != NULL) {
			(void)match_is_empty(match);
			(void)match_has_changed(match);
			(void)match_error(match);
		}
		match_close(match);
	}
	buf_done(&error);
	return 0;
}
