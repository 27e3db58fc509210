/* SPDX-License-Identifier: MIT */
/*
 * Feedback of concurrency windows; see postconf(5)
 * default_destination_concurrency_positive_feedback, and SCHEDULER_README.
 */

#include <stdlib.h>

#include "qmgr/qmgr.h"

/* feedback = number [ "/" ( "concurrency" / "sqrt_concurrency" ) ], the number from 0 to 1 */
bool feedback_parse(struct span text, struct feedback *ret)
{
	struct span number = span_trim(text), form = { NULL, 0 };
	struct feedback feedback = { .form = FEEDBACK_CONSTANT };
	char digits[32], *end;

	if (span_cut(number, '/', &number, &form)) {
		form = span_trim(form);
		number = span_trim(number);
		if (span_is(form, "concurrency"))
			feedback.form = FEEDBACK_LINEAR;
		else if (span_is(form, "sqrt_concurrency"))
			feedback.form = FEEDBACK_SQRT;
		else
			return false;
	}
	if (number.n == 0 || number.n >= sizeof(digits))
		return false;
	for (size_t i = 0; i < number.n; i++) {
		if (!ascii_is_digit(number.p[i]) && number.p[i] != '.')
			return false;
		digits[i] = number.p[i];
	}
	digits[number.n] = '\0';
	feedback.factor = strtod(digits, &end);
	if (*end != '\0' || feedback.factor < 0 || feedback.factor > 1)
		return false;
	*ret = feedback;
	return true;
}

/* Newton's method: windows are small, and one square root is not worth a library. */
static double square_root(double value)
{
	double root = value > 1 ? value / 2 : 1;

	for (int i = 0; i < 20; i++)
		root = (root + value / root) / 2;
	return root;
}

double feedback_value(const struct feedback *feedback, int window)
{
	double size = window > 1 ? window : 1;

	switch (feedback->form) {
	case FEEDBACK_CONSTANT:
		return feedback->factor;
	case FEEDBACK_LINEAR:
		return feedback->factor / size;
	case FEEDBACK_SQRT:
		return feedback->factor / square_root(size);
	}
	return 0;
}
