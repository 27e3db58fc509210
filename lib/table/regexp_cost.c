/* SPDX-License-Identifier: MIT */
/*
 * What a pattern would cost; see regexp_cost.h. The C library takes minutes, or all memory there is, for some
 * patterns that are a line long. Its faults, with limits below which compiling a pattern and matching 2,000
 * bytes stay under a second (measured with glibc 2.36):
 *
 * - It copies what "+" and "{m,n}" stand behind, and "a+++++" takes twice as much with each sign: nodes and
 *   open groups are counted, and few signs may stand behind one another, where POSIX says nothing (XBD 9.4.6).
 * - For each node it lists the nodes that can be reached without a character: with many branches, groups and
 *   optional parts side by side that is the square of their number, in time and in memory.
 * - Behind an assertion ("^", "\b") it copies all nodes that can be reached without a character, and again
 *   behind each assertion among them: "(^|\b|$|a)*" is without end. So what can be passed without a
 *   character in one go has few assertions, and few loops round what may be empty beside one.
 * - With a back-reference it tries all ways to match what stands in front: "(a*)\1b" is the third power of
 *   the length and "(.*)\1*" without end. So beside one there is no repetition but "{n}" and few a "|".
 */

#include "table/regexp_cost.h"

enum {
	NODES_MAX = 20000,
	NESTING_MAX = 200,
	ADJACENT_MAX = 3,
	BRANCHES_MAX = 4000, /* "|" and groups */
	OPTIONAL_MAX = 4000, /* characters with "*" or "?"; a group counts twice */
	PASSED_OPTIONAL_MAX = 600,
	PASSED_LOOPS_MAX = 150,
	TANGLE_MAX = 24, /* assertions, ten times in a loop; a loop round what may be empty counts four times */
	LOOP_TANGLE = 4,
	LOOPED_TIMES = 10,
	REFERENCE_NODES = 200,
	REFERENCE_CHOICES_MAX = 3,
};

/* A part of a pattern, with the copies. */
struct part {
	uint64_t nodes, branches, optional, choices;
	uint64_t assertions, loops; /* all that are in it */
	bool may_be_empty;
	uint64_t passed_assertions, passed_loops, passed_optional; /* on the ways through without a character */
};

/* A group that is open. */
struct level {
	struct part all; /* the branches before this one, and all counts */
	struct part before; /* this branch without its last part, of which this is what can be passed */
	struct part last;   /* the part that a repetition would be about */
};

struct sizing {
	struct level levels[NESTING_MAX];
	size_t depth;
	bool has_reference, has_repetition; /* of another kind than "{n}" */
	bool is_tangled;
};

static void add_counts(struct part *sum, const struct part *more, uint64_t times)
{
	sum->nodes += more->nodes * times;
	sum->branches += more->branches * times;
	sum->optional += more->optional * times;
	sum->choices += more->choices * times;
	sum->assertions += more->assertions * times;
	sum->loops += more->loops * times;
}

static bool is_tangle(uint64_t assertions, uint64_t loops)
{
	return assertions > 0 && assertions + LOOP_TANGLE * loops > TANGLE_MAX;
}

/* What can be passed without a character at the end of the branch, with its last part. */
static struct part passed(const struct level *level)
{
	struct part sum = level->before;

	if (!level->last.may_be_empty)
		return (struct part){ 0 };
	sum.passed_assertions += level->last.passed_assertions;
	sum.passed_loops += level->last.passed_loops;
	sum.passed_optional += level->last.passed_optional;
	return sum;
}

static void add_part(struct sizing *sizing, struct part part)
{
	struct level *level = &sizing->levels[sizing->depth];

	level->before = passed(level);
	level->last = part;
	add_counts(&level->all, &part, 1);
}

static void end_branch(struct level *level)
{
	struct part sum = passed(level);

	if (sum.may_be_empty) {
		level->all.may_be_empty = true;
		level->all.passed_assertions += sum.passed_assertions;
		level->all.passed_loops += sum.passed_loops;
		level->all.passed_optional += sum.passed_optional;
	}
	level->before = level->last = (struct part){ .may_be_empty = true };
}

static void open_level(struct level *level)
{
	level->all = (struct part){ 0 };
	level->before = level->last = (struct part){ .may_be_empty = true };
}

static void end_group(struct sizing *sizing)
{
	struct part group;

	if (sizing->depth == 0)
		return;
	end_branch(&sizing->levels[sizing->depth]);
	group = sizing->levels[sizing->depth--].all;
	group.nodes++;
	group.branches++;
	add_part(sizing, group);
}

/* "*", "+", "?" or "{least,most}" behind the last part, of which there are `most` copies then. */
static void repeat(struct sizing *sizing, uint64_t least, uint64_t most, bool is_open)
{
	struct level *level = &sizing->levels[sizing->depth];
	struct part *last = &level->last, more = { 0 };
	bool varies = is_open || most != least;
	uint64_t copies = most > 1 ? most : 1, optional = most > least ? most - least : varies;

	optional *= last->branches > 0 ? 2 : 1;
	more.optional = optional;
	more.loops = is_open && last->may_be_empty;
	add_counts(&more, last, copies - 1);
	add_counts(&level->all, &more, 1);
	add_counts(last, &more, 1);
	if (is_open && is_tangle(last->assertions, last->loops) && last->loops > 0)
		sizing->is_tangled = true;
	last->passed_assertions *= is_open ? LOOPED_TIMES : copies;
	last->passed_loops = last->passed_loops * copies + more.loops;
	last->passed_optional = last->passed_optional * copies + optional;
	last->may_be_empty = last->may_be_empty || least == 0;
	sizing->has_repetition = sizing->has_repetition || varies;
}

/* The rest behind "{": "n}", "n,}", "n,m}" or ",m}". Of "{n,}" the library makes one copy more than n. */
static void repeat_bounds(struct sizing *sizing, struct span *rest)
{
	uint64_t numbers[2] = { 0, 0 };
	bool has_comma = false, has_most = false;

	while (rest->n > 0 && rest->p[0] != '}' && rest->p[0] != '\\') {
		char c = rest->p[0];

		if (c == ',')
			has_comma = true;
		else if (ascii_is_digit(c) && numbers[has_comma] < NODES_MAX)
			numbers[has_comma] = numbers[has_comma] * 10 + (uint64_t)(c - '0');
		has_most = has_most || (has_comma && ascii_is_digit(c));
		*rest = span_from(*rest, 1);
	}
	/* The end, which is "\}" in basic expressions. */
	if (rest->n > 0)
		*rest = span_from(*rest, rest->p[0] == '\\' && rest->n > 1 ? 2 : 1);
	if (!has_comma)
		repeat(sizing, numbers[0], numbers[0], false);
	else
		repeat(sizing, numbers[0], has_most ? numbers[1] : numbers[0] + 1, !has_most);
}

/* The rest behind "[": a "]" that comes first, and those of classes, do not end it. */
static void skip_bracket(struct span *rest)
{
	size_t at = rest->n > 0 && rest->p[0] == '^' ? 2 : 1;

	while (at < rest->n && rest->p[at] != ']') {
		size_t end = at + 2;

		if (rest->p[at] == '[' && at + 1 < rest->n && span_has(SPAN(":.="), rest->p[at + 1])) {
			while (end + 1 < rest->n && !(rest->p[end] == rest->p[at + 1] && rest->p[end + 1] == ']'))
				end++;
			at = end + 1;
		}
		at++;
	}
	*rest = span_from(*rest, at < rest->n ? at + 1 : rest->n);
}

/*
 * What the character at the front means: one of the signs of extended expressions, '^' for an assertion,
 * '1' for a back-reference, and 'x' for what stands for itself.
 */
static char take_token(struct span *rest, bool is_extended)
{
	char c = rest->p[0];
	bool is_escaped = c == '\\' && rest->n > 1;

	*rest = span_from(*rest, is_escaped ? 2 : 1);
	if (is_escaped)
		c = rest->p[-1];
	if (span_has(SPAN("(){+?|"), c))
		return is_escaped != is_extended ? c : 'x';
	if (is_escaped && c >= '1' && c <= '9')
		return '1';
	if (span_has(is_escaped ? SPAN("<>bB`'") : SPAN("^$"), c))
		return '^';
	return !is_escaped && (c == '*' || c == '[') ? c : 'x';
}

static void take_part(struct sizing *sizing, char token, struct span *rest)
{
	switch (token) {
	case '(': open_level(&sizing->levels[++sizing->depth]); break;
	case ')': end_group(sizing); break;
	case '+': repeat(sizing, 1, 2, true); break;
	case '*': repeat(sizing, 0, 1, true); break;
	case '?': repeat(sizing, 0, 1, false); break;
	case '{': repeat_bounds(sizing, rest); break;
	case '[':
		skip_bracket(rest);
		add_part(sizing, (struct part){ .nodes = 1 });
		break;
	case '|':
		end_branch(&sizing->levels[sizing->depth]);
		add_counts(&sizing->levels[sizing->depth].all,
			   &(struct part){ .nodes = 1, .branches = 1, .choices = 1 }, 1);
		break;
	case '^':
		add_part(sizing, (struct part){ .nodes = 1, .assertions = 1, .may_be_empty = true,
						.passed_assertions = 1 });
		break;
	case '1':
		sizing->has_reference = true;
		add_part(sizing, (struct part){ .nodes = REFERENCE_NODES, .may_be_empty = true });
		break;
	default: add_part(sizing, (struct part){ .nodes = 1 });
	}
}

/* What is wrong so far, in words; NULL: nothing. */
static const char *find_excess(const struct sizing *sizing)
{
	const struct level *level = &sizing->levels[sizing->depth];
	struct part way = passed(level);

	if (level->all.nodes > NODES_MAX || level->all.branches > BRANCHES_MAX ||
	    level->all.optional > OPTIONAL_MAX || way.passed_optional > PASSED_OPTIONAL_MAX ||
	    way.passed_loops > PASSED_LOOPS_MAX)
		return "the pattern is too large";
	if (sizing->is_tangled || is_tangle(way.passed_assertions, way.passed_loops))
		return "the pattern has too many of ^, $ and \\b, or repetitions beside them, without a character "
		       "in between";
	if (sizing->has_reference &&
	    (sizing->has_repetition || level->all.choices > REFERENCE_CHOICES_MAX))
		return "the pattern has a back-reference and a repetition other than {n}, or many choices; pcre "
		       "tables do both";
	return NULL;
}

const char *regexp_find_cost(struct span text, bool is_extended)
{
	struct sizing sizing = { .depth = 0 };
	unsigned adjacent = 0;
	const char *wrong = NULL;

	open_level(&sizing.levels[0]);
	while (text.n > 0 && wrong == NULL) {
		char token = take_token(&text, is_extended);

		if (token == '(' && sizing.depth == NESTING_MAX - 1)
			return "the pattern has too many groups in groups";
		take_part(&sizing, token, &text);
		adjacent = span_has(SPAN("+{*?"), token) ? adjacent + 1 : 0;
		if (adjacent > ADJACENT_MAX)
			return "the pattern has too many repetitions behind one another";
		wrong = find_excess(&sizing);
	}
	return wrong;
}
