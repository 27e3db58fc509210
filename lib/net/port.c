/* SPDX-License-Identifier: MIT */
/* Names of TCP ports; see port.h. Text from the configuration. */

#include "net/port.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>

#include "base/mem.h"

static bool parse_number(struct span text, uint16_t *ret)
{
	uint64_t number;

	if (!span_u64(text, UINT16_MAX, &number) || number == 0)
		return false;
	*ret = (uint16_t)number;
	return true;
}

/* One group, "name=name=number". */
static bool find_in_group(struct span group, struct span name, uint16_t *ret)
{
	struct span word, rest;
	bool is_here = false;

	while (span_cut(group, '=', &word, &rest)) {
		is_here |= span_eq_nocase(word, name);
		group = rest;
	}
	return is_here && parse_number(group, ret);
}

static bool find_in_system(struct span text, uint16_t *ret)
{
	char *name = mem_dup(text);
	const struct servent *entry = getservbyname(name, "tcp");

	free(name);
	if (entry == NULL)
		return false;
	*ret = ntohs((uint16_t)entry->s_port);
	return true;
}

bool port_find(struct span text, struct span known, uint16_t *ret)
{
	struct span group;

	if (parse_number(text, ret))
		return true;
	if (text.n == 0 || ascii_is_digit(text.p[0]))
		return false;
	while ((group = span_word(&known, ", \t\r\n")).n > 0)
		if (find_in_group(group, text, ret))
			return true;
	return find_in_system(text, ret);
}
