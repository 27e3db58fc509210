/* SPDX-License-Identifier: MIT */
/*
 * Writes pages of the manual to standard output, with what the table of parameters says. Run by
 * the Makefile.
 *
 *     manual          postconf(5)
 *     manual FILE     the page FILE, where a line .\" parameters: PROGRAM... becomes the list of what
 *                     those programs use
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/param.h"

/* Text for roff: nothing in it is a request or an escape. */
static void put_text(const char *text)
{
	if (*text == '.' || *text == '\'')
		(void)fputs("\\&", stdout);
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			(void)fputs("\\e", stdout);
		else if (*text == '-')
			(void)fputs("\\-", stdout);
		else
			(void)putchar(*text);
	}
}

static const char *type_text(enum conf_type type)
{
	switch (type) {
	case CONF_TIME_S: return "time; seconds unless a unit is given";
	case CONF_TIME_H: return "time; hours unless a unit is given";
	case CONF_TIME_D: return "time; days unless a unit is given";
	case CONF_SIZE: return "bytes";
	case CONF_COUNT: return "number";
	case CONF_BOOL: return "yes or no";
	case CONF_TEXT: return "text";
	case CONF_RAW: return "text; $name is expanded when it is used";
	case CONF_TABLE: return "tables, type:name";
	case CONF_CHOICE: return "one of";
	}
	return "";
}

static bool is_number(enum conf_type type)
{
	return type == CONF_TIME_S || type == CONF_TIME_H || type == CONF_TIME_D ||
	       type == CONF_SIZE || type == CONF_COUNT;
}

static void put_words(const char *words)
{
	const char *separator = " ";
	char word[64];
	int used;

	for (; sscanf(words, " %63s%n", word, &used) == 1; words += used) {
		(void)fputs(separator, stdout);
		put_text(strcmp(word, "-") == 0 ? "(empty)" : word);
		separator = ", ";
	}
}

/* "(time; seconds unless a unit is given; at least 1)" */
static void put_type(const struct conf_param *param)
{
	(void)printf("(%s", type_text(param->type));
	if (param->type == CONF_CHOICE)
		put_words(param->words);
	if (is_number(param->type) && param->max != CONF_UNLIMITED)
		(void)printf("; %" PRId64 " to %" PRId64, param->min, param->max);
	else if (is_number(param->type))
		(void)printf("; at least %" PRId64, param->min);
	(void)printf(")\n");
}

/* Whether all programs, or all but the commands, get the value. */
static bool is_everybodys(uint32_t who)
{
	uint32_t all = (uint32_t)((UINT64_C(1) << CONF_PROGRAM_COUNT) - 1);

	return ((who | 1u << CONF_COMMAND) & all) == all;
}

static void put_programs(uint32_t who)
{
	static const char *const names[] = {
#define NAME(symbol, name) name,
		CONF_PROGRAMS(NAME)
#undef NAME
	};
	const char *separator = "";

	/* Commands see every value, so they say nothing about whose it is. */
	who &= ~(1u << CONF_COMMAND);
	if (who == 0 || is_everybodys(who))
		return;
	(void)printf(".br\nUsed by: ");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if ((who & 1u << i) == 0)
			continue;
		(void)fputs(separator, stdout);
		put_text(names[i]);
		separator = ", ";
	}
	(void)printf(".\n");
}

static void put_param(const struct conf_param *param)
{
	(void)printf(".TP\n.B ");
	put_text(param->name);
	(void)printf(" (default: ");
	put_text(*param->value != '\0' ? param->value : "empty");
	(void)printf(")\n");
	put_text(param->text);
	(void)putchar('\n');
	if (param->kind == CONF_ACCEPTED) {
		(void)printf(".br\nAccepted without effect: ");
		put_text(param->reason);
		(void)putchar('\n');
	} else if (param->kind == CONF_OLD_NAME && *param->reason != '\0') {
		(void)printf(".br\nAn old name; use ");
		put_text(param->reason);
		(void)printf(".\n");
	} else if (param->kind == CONF_READ_ONLY) {
		(void)printf(".br\nIt cannot be set.\n");
	}
	if (param->kind == CONF_OLD_NAME || param->kind == CONF_READ_ONLY)
		return;
	(void)printf(".br\n");
	put_type(param);
	put_programs(param->who);
}

static void put_postconf(void)
{
	(void)printf(".TH POSTCONF 5 \"\" Postern\n.ad l\n"
		     ".SH NAME\npostconf \\- parameters of Postern's main.cf\n"
		     ".SH DESCRIPTION\n"
		     "A line of main.cf is\n.IR \"name = value\" ;\n"
		     "a line that starts with a blank continues the one before it, and a line that "
		     "starts with # is a comment. $name, ${name}, ${name?value}, ${name:value} and "
		     "${{a} == {b} ? {x} : {y}} in a value refer to other parameters. A time is a "
		     "number with one of the letters s, m, h, d and w.\n"
		     "This page is made from the table that the programs use, so the defaults "
		     "here are theirs; below a compatibility_level some are older ones.\n"
		     ".SH PARAMETERS\n");
	for (size_t i = 0; i < conf_param_count(); i++)
		put_param(conf_param_at(i));
	(void)printf(".SH PARAMETERS OF A TRANSPORT\n"
		     "The name is that of the transport in master.cf with one of these ends.\n");
	for (size_t i = 0; i < conf_pattern_count(); i++)
		put_param(conf_pattern_at(i));
	(void)printf(".SH SEE ALSO\npostconf(1), postern(1)\n");
}

/* The bits of the programs; 0 when one of them is none of ours. */
static uint32_t programs_named(const char *names)
{
	enum conf_program program;
	uint32_t who = 0;
	char name[32];
	int used;

	for (; sscanf(names, " %31s%n", name, &used) == 1; names += used) {
		if (!conf_program_find(name, &program))
			return 0;
		who |= 1u << program;
	}
	return who;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names alone, in the form of mdoc(7); those that every program gets are no program's own. */
static void put_names(uint32_t who)
{
	const char **names = mem_array(conf_param_count(), sizeof(*names));
	size_t count = 0;

	for (size_t i = 0; i < conf_param_count(); i++) {
		const struct conf_param *param = conf_param_at(i);

		if (param->kind == CONF_PARAM && (param->who & who) != 0 &&
		    !is_everybodys(param->who))
			names[count++] = param->name;
	}
	qsort(names, count, sizeof(*names), compare);
	(void)printf(count > 0 ? "Described in\n.Xr postconf 5 ,\nbeside those that all programs have:\n"
			       : "Only those that all programs have, see\n.Xr postconf 5 .\n");
	for (size_t i = 0; i < count; i++)
		(void)printf(".Va %s %s\n", names[i], i + 1 < count ? "," : ".");
	free(names);
}

static bool put_page(const char *path)
{
	static const char mark[] = ".\\\" parameters: ";
	FILE *page = fopen(path, "re");
	char line[1024];
	bool is_good = page != NULL;

	while (is_good && fgets(line, sizeof(line), page) != NULL) {
		if (strncmp(line, mark, strlen(mark)) != 0) {
			(void)fputs(line, stdout);
			continue;
		}
		is_good = programs_named(line + strlen(mark)) != 0;
		put_names(programs_named(line + strlen(mark)));
	}
	if (!is_good || ferror(page) != 0)
		(void)fprintf(stderr, "%s: cannot be read, or names no program\n", path);
	is_good = is_good && ferror(page) == 0;
	if (page != NULL)
		(void)fclose(page);
	return is_good;
}

int main(int argc, char **argv)
{
	bool is_good = true;

	if (argc == 2)
		is_good = put_page(argv[1]);
	else
		put_postconf();
	return fflush(stdout) == 0 && is_good ? 0 : 1;
}
