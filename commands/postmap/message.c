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
#include "commands/postmap/structure.h"

struct walk {
	const struct tool *tool;
	void (*ask)(void *context, struct span key);
	void *context;
};

static void on_header(void *context, enum mime_owner owner UNUSED, struct span header)
{
	const struct walk *walk = context;

	if (walk->tool->wants_headers)
		walk->ask(walk->context, header);
}

static void on_body(void *context, struct span line)
{
	const struct walk *walk = context;

	if (walk->tool->wants_body)
		walk->ask(walk->context, line);
}

void message_walk(const struct tool *tool, void (*ask)(void *context, struct span key),
		  void *context)
{
	static const struct mime_events events = { .header = on_header, .body = on_body };
	struct walk walk = { .tool = tool, .ask = ask, .context = context };
	struct mime mime;
	char *text = NULL;
	size_t room = 0;
	ssize_t size;

	mime_init(&mime, &events, &walk, tool->parses_mime);
	while ((size = getline(&text, &room, stdin)) >= 0) {
		struct span line = { text, (size_t)size };

		if (line.n > 0 && line.p[line.n - 1] == '\n')
			line.n--;
		mime_line(&mime, line);
	}
	mime_end(&mime);
	mime_done(&mime);
	free(text);
	if (ferror(stdin))
		fatal("read standard input: %s", strerror(errno));
}
