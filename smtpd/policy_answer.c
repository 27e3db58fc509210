/* SPDX-License-Identifier: MIT */
/*
 * The answer of a policy server; see policy_answer.h. Runs in smtpd. What a policy server says is as
 * trusted as the value of an access table.
 */

#include "smtpd/policy_answer.h"

enum policy_step policy_answer_line(struct policy_answer *answer, struct span line)
{
	struct span name, value;

	if (line.n == 0)
		return answer->has_action ? POLICY_DONE : POLICY_MALFORMED;
	if (!span_cut(line, '=', &name, &value))
		return POLICY_MALFORMED;
	if (span_is(name, "action")) {
		if (!buf_set(answer->action, span_trim(value)))
			return POLICY_MALFORMED;
		answer->has_action = true;
	}
	return ++answer->lines < POLICY_ANSWER_LINES_MAX ? POLICY_MORE : POLICY_MALFORMED;
}
