/* SPDX-License-Identifier: MIT */
/*
 * cleanup's way through a message: the first byte says in what pieces the rest comes, and whether
 * something looks into the body. Needs the sources of cleanup but cleanup.c, as its unit test does;
 * the queue file goes to a temporary directory.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "cleanup/cleanup.h"
#include "conf/load.h"
#include "queue/dirs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct message message;
static struct queue_dirs dirs;

static void start(void)
{
	const char *place = getenv("TMPDIR");
	char *path = mem_printf("%s/cleanup_fuzz.XXXXXX", place != NULL ? place : "/tmp");
	struct buf error = BUF_INIT(1000);

	if (mkdtemp(path) == NULL || chdir(path) < 0 ||
	    !queue_dirs_make(".", getuid(), getgid(), &error) || !queue_dirs_open(&dirs, ".") ||
	    !conf_load_text(SPAN("myhostname = mail.example.test\nstrict_8bitmime = yes\n"
				 "header_checks = inline:{x=y}\nheader_size_limit = 100\n"
				 "message_strip_characters = \\1\\002\nmessage_size_limit = 3000\n"
				 "message_reject_characters = \\0\n"
				 "body_checks = pcre:{{/^p/ PREPEND q}, {/^r/ REPLACE s}, {/^i/ IGNORE}}\n"
				 "mime_header_checks = pcre:{{/^Content-X/ REPLACE X: y}}\n")))
		abort();
	free(path);
	buf_done(&error);
	content_prepare();
	head_prepare();
	rewrite_prepare();
	expand_prepare();
	checks_prepare();
	commit_prepare();
	message_init(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct submitter submitter = { "pickup", ~0u, ~0u, true };
	struct msg_envelope envelope = { .rewrite_context = SPAN("local") };
	struct msg_envelope named = { .rewrite_context = SPAN("local"), .sender = SPAN("a@b"),
				      .full_name = { (const char *)data, size < 30 ? size : 30 } };
	struct msg_rcpt rcpt = { .address = SPAN("bob") };
	struct span rest = { (const char *)data, size };
	size_t step;

	if (size == 0)
		return 0;
	if (message.submitter == NULL)
		start();
	step = (data[0] & 0x7f) + 1u;
	rest = span_from(rest, 1);
	(void)snprintf(message.id, sizeof(message.id), "0123456789ABCDEF");
	message.submitter = &submitter;
	message_open(&message, (data[0] & 0x40) != 0 ? &named : &envelope, data[0] < 0x80 ? SUBMIT_NO_HEADER_BODY_CHECKS : 0);
	expand_rcpt(&message, &rcpt);
	for (; rest.n > 0; rest = span_from(rest, step))
		message_add_data(&message, span_first(rest, step));
	message_end_content(&message);
	message_finish(&message);
	message_reset(&message);
	(void)queue_remove(&dirs, QUEUE_INCOMING, message.id);
	return 0;
}
