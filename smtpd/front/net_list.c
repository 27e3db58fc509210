/* SPDX-License-Identifier: MIT */
/* Lists of networks; see net_list.h. Runs in front. What they say is the administrator's. */

#include "smtpd/front/net_list.h"

#include "base/mem.h"
#include "base/words.h"

/* "type:table"; an IPv6 address stands in brackets. */
static bool names_table(struct span word)
{
	return word.n > 0 && word.p[0] != '[' && span_has(word, ':');
}

/* What comes behind the first pattern that is no network may need a name or a table: smtpd answers. */
struct net_list net_list_parse(struct span text)
{
	struct net_list list = { .count = 0 };
	struct span word;
	struct buf reason = BUF_INIT(1000);

	while ((word = words_next(&text, WORDS_BLANK_OR_COMMA)).n > 0) {
		struct net_pattern pattern = { .is_negated = false };

		while (word.n > 0 && word.p[0] == '!') {
			pattern.is_negated = !pattern.is_negated;
			word = span_from(word, 1);
		}
		if (names_table(word) || !ip_net_parse(word, &pattern.net, &reason)) {
			buf_done(&reason);
			return list;
		}
		list.patterns = mem_resize(list.patterns, (list.count + 1) * sizeof(pattern));
		list.patterns[list.count++] = pattern;
	}
	list.is_whole = true;
	buf_done(&reason);
	return list;
}

enum exemption net_list_find(const struct net_list *list, const struct ip_addr *addr)
{
	for (size_t i = 0; i < list->count; i++)
		if (ip_net_has(&list->patterns[i].net, addr))
			return list->patterns[i].is_negated ? EXEMPT_NO : EXEMPT_YES;
	return list->is_whole ? EXEMPT_NO : EXEMPT_PERHAPS;
}
