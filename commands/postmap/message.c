/* SPDX-License-Identifier: MIT */
/*
 * A message on standard input as lookup keys, as header_checks(5) and body_checks(5) would
 * see them: options -h, -b, -m with "-q -".
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "commands/postmap/tool.h"
#include "conf/conf.h"
#include "mail/mime.h"

struct walk {
	const struct tool *tool;
	void (*ask)(void *context, struct span key);
	void *context;
};

static void on_header(void *context, enum mime_head head UNUSED, const struct header *header)
{
	const struct walk *walk = context;

	if (walk->tool->wants_headers)
		walk->ask(walk->context, span_first(header->raw, header->raw.n - 1));
}

static void ask_body(const struct walk *walk, struct span line)
{
	if (walk->tool->wants_body)
		walk->ask(walk->context, line);
}

/* body_checks(5) sees the empty line behind a head, and the boundaries. */
static void on_head_end(void *context, enum mime_head head UNUSED, enum mime_end end,
			const struct mime_part *part UNUSED)
{
	if (end == MIME_END_BLANK)
		ask_body(context, SPAN(""));
}

static void on_boundary(void *context, struct span line, bool has_line_end UNUSED)
{
	ask_body(context, line);
}

static void on_body(void *context, struct span line, bool has_line_end UNUSED,
		    uint64_t offset UNUSED)
{
	ask_body(context, line);
}

void message_walk(const struct tool *tool, void (*ask)(void *context, struct span key),
		  void *context)
{
	static const struct mime_events events = { .header = on_header,
						   .head_end = on_head_end,
						   .boundary = on_boundary,
						   .body = on_body };
	struct mime_rules rules = {
		.header_size_limit = (size_t)conf->header_size_limit,
		.boundary_length_limit = (size_t)conf->mime_boundary_length_limit,
		.nesting_limit = (unsigned)conf->mime_nesting_limit,
		.is_flat = !tool->parses_mime,
	};
	struct walk walk = { .tool = tool, .ask = ask, .context = context };
	struct mime *mime = mime_new(&rules, &events, &walk);
	char *text = NULL;
	size_t room = 0;
	ssize_t size;

	while ((size = getline(&text, &room, stdin)) >= 0) {
		struct span line = { text, (size_t)size };

		if (line.n > 0 && line.p[line.n - 1] == '\n')
			line.n--;
		mime_line(mime, line, true);
	}
	mime_finish(mime);
	mime_free(mime);
	free(text);
	if (ferror(stdin))
		fatal("read standard input: %s", strerror(errno));
}
