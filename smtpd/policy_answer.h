/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_POLICY_ANSWER_H
#define SMTPD_POLICY_ANSWER_H

/*
 * What a policy server answers, line by line (SMTPD_POLICY_README):
 *
 *     answer  =  *( name "=" value LF ) "action" "=" value LF  *( name "=" value LF )  LF
 *
 * Of two actions the last counts; what other names say is passed over. Pure functions.
 *
 *     struct policy_answer answer = { .action = &text };
 *
 *     while ((step = policy_answer_line(&answer, line)) == POLICY_MORE)
 *             ... the next line ...
 */

#include "base/buf.h"

enum { POLICY_ANSWER_LINE_MAX = 4096, POLICY_ANSWER_LINES_MAX = 100 };

struct policy_answer {
	struct buf *action; /* set anew by each line that has one: without blanks around it */
	bool has_action;
	int lines;
};

/* Malformed is a line that is none, an end before an action, or no end in POLICY_ANSWER_LINES_MAX. */
enum policy_step {
	POLICY_MORE, /* it goes on */
	POLICY_DONE, /* that was the end; the action is what the server wants */
	POLICY_MALFORMED,
};

/* Takes the next line, which has no line end. Behind POLICY_DONE and POLICY_MALFORMED there is none. */
MUST_USE enum policy_step policy_answer_line(struct policy_answer *answer, struct span line);

#endif
