/* SPDX-License-Identifier: MIT */
/* resolv.conf(5) and hosts(5); see resolv_conf.h. Runs in the dns service, on root's files. */

#include "net/resolv_conf.h"

#include "mail/domain.h"

#define BLANKS " \t\r"

static void parse_option(struct span option, struct resolv_conf *ret)
{
	struct span name = option, value = { NULL, 0 };
	uint64_t number = 0;

	(void)span_cut(option, ':', &name, &value);
	if (value.n > 0 && !span_u64(value, 1000, &number))
		return;
	if (span_is(name, "timeout") && number > 0)
		ret->timeout_s = number < 30 ? (unsigned)number : 30;
	else if (span_is(name, "attempts") && number > 0)
		ret->attempts = number < 5 ? (unsigned)number : 5;
	else if (span_is(name, "rotate"))
		ret->does_rotate = true;
	else if (span_is(name, "trust-ad"))
		ret->is_trusted = true;
}

void resolv_conf_parse(struct span text, struct resolv_conf *ret)
{
	static const struct ip_addr fallback = { IP_V4, { 127, 0, 0, 1 } };
	struct span line, word;
	bool is_all_loopback = true;

	*ret = (struct resolv_conf){ .timeout_s = 5, .attempts = 2 };
	while (span_line(&text, &line)) {
		word = span_word(&line, BLANKS);
		if (span_is(word, "nameserver")) {
			struct ip_addr *server = &ret->servers[ret->server_count];

			if (ret->server_count < RESOLV_SERVERS_MAX &&
			    ip_parse(span_word(&line, BLANKS), server))
				ret->server_count++;
		} else if (span_is(word, "options")) {
			while ((word = span_word(&line, BLANKS)).n > 0)
				parse_option(word, ret);
		}
	}
	if (ret->server_count == 0)
		ret->servers[ret->server_count++] = fallback;
	for (size_t i = 0; i < ret->server_count; i++)
		is_all_loopback = is_all_loopback && ip_is_loopback(&ret->servers[i]);
	ret->is_trusted = ret->is_trusted || is_all_loopback;
}

static struct span lower(struct arena *arena, struct span name)
{
	char *copy = arena_str(arena, name);

	for (size_t i = 0; i < name.n; i++)
		copy[i] = ascii_lower(copy[i]);
	return (struct span){ copy, name.n };
}

static void add_name(struct hosts *hosts, struct span name, const struct ip_addr *addr)
{
	struct hosts_entry *entry = arena_alloc(&hosts->arena, sizeof(*entry));
	struct hosts_entry *last = htab_get(&hosts->by_name, name);

	entry->addr = *addr;
	if (last == NULL) {
		(void)htab_put(&hosts->by_name, name, entry);
		return;
	}
	while (last->next != NULL)
		last = last->next;
	last->next = entry;
}

void hosts_parse(struct span text, struct hosts *ret)
{
	struct span line, word, comment;
	struct ip_addr addr;
	char canonical[IP_TEXT_MAX];

	while (span_line(&text, &line)) {
		(void)span_cut(line, '#', &line, &comment);
		if (!ip_parse(span_word(&line, BLANKS), &addr))
			continue;

		struct span addr_text = ip_text(&addr, canonical);

		while ((word = span_word(&line, BLANKS)).n > 0) {
			if (domain_check_name(word, false) != DOMAIN_OK)
				continue;
			word = lower(&ret->arena, word);
			add_name(ret, word, &addr);
			if (htab_get(&ret->by_addr, addr_text) == NULL)
				(void)htab_put(&ret->by_addr, addr_text, arena_str(&ret->arena, word));
		}
	}
}

void hosts_done(struct hosts *hosts)
{
	htab_done(&hosts->by_name, NULL);
	htab_done(&hosts->by_addr, NULL);
	arena_done(&hosts->arena);
}

const struct hosts_entry *hosts_file_find(const struct hosts *hosts, struct span name)
{
	char key[DOMAIN_NAME_MAX];

	if (name.n > sizeof(key))
		return NULL;
	for (size_t i = 0; i < name.n; i++)
		key[i] = ascii_lower(name.p[i]);
	return htab_get(&hosts->by_name, (struct span){ key, name.n });
}

const char *hosts_name(const struct hosts *hosts, const struct ip_addr *addr)
{
	char text[IP_TEXT_MAX];

	return htab_get(&hosts->by_addr, ip_text(addr, text));
}
