/* SPDX-License-Identifier: MIT */
/*
 * Looking into the body: header lines of parts and attached messages, and body lines, for
 * header_checks(5); and MIME's own rules. Only when main.cf asks for any of it: a body that nobody
 * looks into is not even split into lines. Runs in cleanup's workers, on the bytes of strangers.
 */

#include <stdio.h>

#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/mime.h"

/* Lines with "\n" between them. */
static void put_lines(struct message *message, struct span text)
{
	struct span line;

	while (span_line(&text, &line))
		content_put(message, line, true);
}

static void on_header(void *context, enum mime_head head, const struct header *header)
{
	static const enum check_class classes[] = {
		[MIME_HEAD_PRIMARY] = CHECK_HEADER,
		[MIME_HEAD_PART] = CHECK_MIME_HEADER,
		[MIME_HEAD_NESTED] = CHECK_NESTED_HEADER,
	};
	struct message *message = context;
	struct span text = span_first(header->raw, header->raw.n - 1), answer;
	enum check_verdict verdict;

	/* The message's own headers go through headers.c. */
	if (head == MIME_HEAD_PRIMARY)
		return;
	verdict = checks_ask(message, classes[head], text, &answer);
	if (verdict == CHECK_REPLACE || verdict == CHECK_PREPEND)
		put_lines(message, answer);
	if (verdict == CHECK_KEEP || verdict == CHECK_PREPEND)
		put_lines(message, text);
}

static void on_head_end(void *context, enum mime_head head, enum mime_end end,
			const struct mime_part *part)
{
	(void)part;
	if (head != MIME_HEAD_PRIMARY && end == MIME_END_BLANK)
		content_put(context, SPAN(""), true);
}

static void on_body(void *context, struct span line, bool has_line_end, uint64_t offset)
{
	struct message *message = context;
	struct span answer;
	enum check_verdict verdict = CHECK_KEEP;

	if (offset < (uint64_t)conf->body_checks_size_limit)
		verdict = checks_ask(message, CHECK_BODY, line, &answer);
	if (verdict == CHECK_REPLACE || verdict == CHECK_PREPEND)
		content_put(message, answer, has_line_end || verdict == CHECK_PREPEND);
	if (verdict == CHECK_KEEP || verdict == CHECK_PREPEND)
		content_put(message, line, has_line_end);
}

static void on_boundary(void *context, struct span line, bool has_line_end)
{
	on_body(context, line, has_line_end, 0);
}

/* The problems that main.cf makes reasons to refuse. */
static unsigned refused_problems(void)
{
	unsigned refused = MIME_PROBLEM_NESTING;

	if (conf->strict_7bit_headers || conf->strict_8bitmime)
		refused |= MIME_PROBLEM_8BIT_HEADER;
	if (conf->strict_8bitmime_body || conf->strict_8bitmime)
		refused |= MIME_PROBLEM_8BIT_BODY;
	if (conf->strict_mime_encoding_domain)
		refused |= MIME_PROBLEM_ENCODING;
	return refused;
}

void body_start(struct message *message)
{
	static const struct mime_events events = { on_header, on_head_end, on_body, on_boundary };
	struct mime_rules rules = {
		.header_size_limit = (size_t)conf->header_size_limit,
		.boundary_length_limit = (size_t)conf->mime_boundary_length_limit,
		.nesting_limit = (unsigned)conf->mime_nesting_limit,
		.is_flat = conf->disable_mime_input_processing,
		.is_checking_8bit = (refused_problems() &
				     (MIME_PROBLEM_8BIT_HEADER | MIME_PROBLEM_8BIT_BODY)) != 0,
	};
	bool is_strict = refused_problems() != MIME_PROBLEM_NESTING && !rules.is_flat &&
			 (message->options & (SUBMIT_NO_HEADER_BODY_CHECKS | SUBMIT_INTERNAL)) == 0;

	if (is_strict || message->is_checked)
		message->mime = mime_new(&rules, &events, message);
}

void body_end(struct message *message)
{
	unsigned found = message->mime != NULL ? mime_problems(message->mime) : 0;

	/* The checks have seen the parts of the first type and boundary; a reader may see others. */
	if ((found & MIME_PROBLEM_AMBIGUOUS) != 0)
		checks_log(message, "warning", "mime-error",
			   span_of(mime_problem_text(MIME_PROBLEM_AMBIGUOUS)), SPAN(""));
	found &= refused_problems();
	for (unsigned problem = 1; found != 0; problem <<= 1) {
		const char *text = mime_problem_text((enum mime_problem)problem);

		if ((found & problem) == 0)
			continue;
		found &= ~problem;
		checks_log(message, "reject", "mime-error", span_of(text), SPAN(""));
		message_refuse(message, SUBMIT_REJECT, "5.6.0", text);
	}
}
