/* SPDX-License-Identifier: MIT */
/* Sources of tables: logical lines, "key value" entries, networks, words, folding. */

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fold.h"
#include "base/ip.h"
#include "base/lines.h"
#include "base/words.h"
#include "table/match.h"
#include "table/source.h"
#include "table/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same as a file: of a table, and of a list, which may name itself. */
static void open_file(struct span text, struct buf *error)
{
	static char path[200];
	struct match_list *list;
	struct table *table;
	int fd;

	if (path[0] == '\0')
		(void)snprintf(path, sizeof(path), "texthash:%s/source_fuzz.%ld",
			       getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", (long)getpid());
	fd = open(path + strlen("texthash:"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n || close(fd) < 0)
		abort();
	table = table_open(path, TABLE_FOLD, error);
	table_close(table);
	if (!span_has(text, '/') && !span_has(text, ':')) {
		list = match_open("fuzz", span_of(path + strlen("texthash:")), MATCH_STRING, TABLE_FOLD, error);
		match_close(list);
	}
	(void)unlink(path + strlen("texthash:"));
}

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
	open_file(input, &out);
	buf_done(&out);
	return 0;
}
