/* SPDX-License-Identifier: MIT */
/* Feedback of concurrency windows. */

#include "qmgr/feedback.c"
#include "test.h"

static void test_parse(void)
{
	static const struct {
		const char *text;
		bool is_good;
		double at_1, at_4; /* the feedback at these windows, in thousandths */
	} rows[] = {
		{ "1", true, 1000, 1000 },
		{ "0.5", true, 500, 500 },
		{ "1/concurrency", true, 1000, 250 },
		{ "1/sqrt_concurrency", true, 1000, 500 },
		{ " 0.5 / concurrency ", true, 500, 125 },
		{ "0", true, 0, 0 },
		{ "2", false, 0, 0 },
		{ "-1", false, 0, 0 },
		{ "1/windows", false, 0, 0 },
		{ "1/", false, 0, 0 },
		{ "", false, 0, 0 },
		{ "0x1", false, 0, 0 },
		{ "1e0", false, 0, 0 },
		{ "1.2.3", false, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct feedback feedback;

		CHECK_INT(feedback_parse(span_of(rows[i].text), &feedback), rows[i].is_good);
		if (!rows[i].is_good)
			continue;
		CHECK_INT(feedback_value(&feedback, 1) * 1000 + 0.5, rows[i].at_1);
		CHECK_INT(feedback_value(&feedback, 4) * 1000 + 0.5, rows[i].at_4);
	}
}

int main(void)
{
	TEST(parse);
	return test_end();
}
