/* SPDX-License-Identifier: MIT */
/* smtpd/policy_answer.h: what a policy server writes, in lines as a stream has them. */

#include <stdlib.h>

#include "smtpd/policy_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of these lines, all before the end, the last that says an action. */
static struct span last_action(struct span text, int lines)
{
	struct span line, found = { NULL, 0 };

	for (int i = 0; i < lines && span_line(&text, &line); i++)
		if (span_starts(line, SPAN("action=")))
			found = span_trim(span_from(line, 7));
	return found;
}

static void try_answer(struct span text, size_t limit)
{
	struct buf action = BUF_INIT(limit);
	struct policy_answer answer = { .action = &action };
	struct span rest = text, line;
	enum policy_step step = POLICY_MORE;
	int lines = 0;

	while (step == POLICY_MORE && span_line(&rest, &line)) {
		lines++;
		step = policy_answer_line(&answer, line);
		if (lines > POLICY_ANSWER_LINES_MAX || action.length > limit)
			abort();
		if (step == POLICY_MORE && !span_has(line, '='))
			abort();
	}
	if (step == POLICY_DONE &&
	    (line.n != 0 || lines < 2 || !span_eq(buf_span(&action), last_action(text, lines))))
		abort();
	if (step == POLICY_MORE && lines == POLICY_ANSWER_LINES_MAX)
		abort();
	buf_done(&action);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };

	try_answer(text, POLICY_ANSWER_LINE_MAX);
	try_answer(text, 8);
	return 0;
}
