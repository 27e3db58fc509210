/* SPDX-License-Identifier: MIT */
/* Sources of tables: logical lines, "key value" entries, networks, words, folding. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/fold.h"
#include "base/ip.h"
#include "base/lines.h"
#include "base/words.h"
#include "table/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size }, line, key, value, word;
	struct buf out = BUF_INIT(1 << 24);
	struct lines lines;
	struct ip_net net;
	unsigned number;

	if (size > 1 << 16)
		return 0;
	lines_init(&lines, input);
	while (lines_next(&lines, &line, &number)) {
		if (line.n == 0)
			abort();
		if (source_split("fuzz", number, line, &key, &value) && (key.n == 0 || value.n == 0))
			abort();
		while ((word = words_next(&line, WORDS_BLANK_OR_COMMA)).n > 0) {
			(void)ip_net_parse(word, &net, &out);
			(void)fold_text(word, true, &out);
		}
	}
	lines_done(&lines);
	buf_done(&out);
	return 0;
}
