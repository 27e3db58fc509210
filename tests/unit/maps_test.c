/* SPDX-License-Identifier: MIT */
/* lib/table: address, domain and network keys of maps; match lists. */

#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "table/maps.h"
#include "table/match.h"

/* A table that notes which keys it was asked for. */
static struct buf asked = BUF_INIT(1 << 16);
static const char *answer_to;

static enum table_status note_key(const char *name, unsigned flags UNUSED, struct span key,
				  struct buf *ret_value, struct buf *ret_error)
{
	if (strcmp(name, "hash:fail") == 0) {
		buf_text(ret_error, "hash:fail is broken");
		return TABLE_ERROR;
	}
	buf_printf(&asked, "%s%.*s", buf_span(&asked).n > 0 ? " " : "", SPAN_ARG(key));
	if (answer_to == NULL || !span_is(key, answer_to))
		return TABLE_NOT_FOUND;
	buf_text(ret_value, "answer");
	return TABLE_FOUND;
}

static struct maps *open_maps(const char *list)
{
	struct buf error = BUF_INIT(4096);
	struct maps *maps = maps_open("test_maps", span_of(list), TABLE_FOLD, &error);

	if (maps == NULL)
		printf("# %s: %s\n", list, buf_str(&error));
	buf_done(&error);
	return maps;
}

static enum table_status is_local(void *context, struct lookup *lookup, struct span domain)
{
	(void)context;
	(void)lookup;
	return span_is(domain, "local.test") ? TABLE_FOUND : TABLE_NOT_FOUND;
}

struct address_case {
	const char *address;
	unsigned keys;
	const char *answer_to; /* NULL: nothing is found */
	const char *want; /* the keys that are tried */
	const char *extension;
};

static void test_address_keys(void)
{
	static const struct address_case cases[] = {
		{ "user+x@a.b.test", MAPS_KEYS_REWRITE, NULL,
		  "user+x@a.b.test user@a.b.test @a.b.test", "" },
		{ "user+x@local.test", MAPS_KEYS_REWRITE, NULL,
		  "user+x@local.test user@local.test user+x user @local.test", "" },
		{ "user+x@local.test", MAPS_KEYS_REWRITE, "user@local.test",
		  "user+x@local.test user@local.test", "+x" },
		{ "user+x@local.test", MAPS_KEYS_REWRITE, "user",
		  "user+x@local.test user@local.test user+x user", "+x" },
		{ "user+x@local.test", MAPS_KEYS_REWRITE, "user+x",
		  "user+x@local.test user@local.test user+x", "" },
		{ "User@A.test", MAPS_KEYS_REWRITE, "@a.test", "user@a.test @a.test", "" },
		{ "user", MAPS_KEYS_REWRITE, NULL, "user", "" },
		{ "user+x", MAPS_KEYS_REWRITE, "user", "user+x user", "+x" },
		{ "u@a.b.test", MAPS_KEYS_TRANSPORT, NULL, "u@a.b.test a.b.test .b.test .test", "" },
		{ "u@[192.0.2.1]", MAPS_KEYS_TRANSPORT, NULL, "u@[192.0.2.1] [192.0.2.1]", "" },
		{ "u+x@b.test", MAPS_KEYS_ACCESS | MAPS_PARENTS, NULL,
		  "u+x@b.test u@b.test b.test test u+x@ u@", "" },
		{ "u+x@b.test", MAPS_KEYS_ACCESS | MAPS_DOT_PARENTS, "u@",
		  "u+x@b.test u@b.test b.test .test u+x@ u@", "+x" },
		{ "a b@c.test", MAPS_FULL | MAPS_AT_DOMAIN, NULL,
		  "\"a b\"@c.test a b@c.test @c.test", "" },
		{ "a b+x@c.test", MAPS_KEYS_REWRITE, "\"a b\"@c.test",
		  "\"a b+x\"@c.test a b+x@c.test \"a b\"@c.test", "+x" },
	};
	struct maps_address_rules rules = { .extension = { .delimiters = SPAN("+") },
					    .is_local = is_local };
	struct maps *maps = open_maps("proxy:hash:keys");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct address_case *one = &cases[i];
		struct span value, extension = { NULL, 0 };

		buf_reset(&asked);
		answer_to = one->answer_to;

		enum table_status status = maps_find_address(maps, NULL, &rules,
							     span_of(one->address), one->keys,
							     &value, &extension);

		CHECK_INT(status, one->answer_to != NULL ? TABLE_FOUND : TABLE_NOT_FOUND);
		CHECK_STR(buf_str(&asked), one->want);
		CHECK_SPAN(extension, one->extension);
	}
	maps_close(maps);
}

static void test_domain_keys(void)
{
	struct maps *maps = open_maps("proxy:hash:keys");
	struct span value;

	answer_to = NULL;
	buf_reset(&asked);
	CHECK_INT(maps_find_domain(maps, NULL, SPAN("a.b.c"), false, &value), TABLE_NOT_FOUND);
	CHECK_STR(buf_str(&asked), "a.b.c b.c c");
	buf_reset(&asked);
	CHECK_INT(maps_find_domain(maps, NULL, SPAN("a.b.c"), true, &value), TABLE_NOT_FOUND);
	CHECK_STR(buf_str(&asked), "a.b.c .b.c .c");
	buf_reset(&asked);
	CHECK_INT(maps_find_network(maps, NULL, SPAN("192.0.2.1"), &value), TABLE_NOT_FOUND);
	CHECK_STR(buf_str(&asked), "192.0.2.1 192.0.2 192.0 192");
	buf_reset(&asked);
	CHECK_INT(maps_find_network(maps, NULL, SPAN("2001:db8::1"), &value), TABLE_NOT_FOUND);
	CHECK_STR(buf_str(&asked), "2001:db8::1 2001:db8: 2001:db8 2001");
	maps_close(maps);
}

static void test_maps_order(void)
{
	struct maps *maps =
		open_maps("inline:{a=1, e=}, regexp:{{/./ pattern}} fail:x");
	struct span value;

	CHECK_INT(maps_find(maps, NULL, SPAN("A"), false, &value), TABLE_FOUND);
	CHECK_SPAN(value, "1");
	CHECK_STR(maps_origin(maps), "inline:{a=1, e=}");
	CHECK_INT(maps_find(maps, NULL, SPAN("b"), false, &value), TABLE_FOUND);
	CHECK_SPAN(value, "pattern");
	CHECK_INT(maps_find(maps, NULL, SPAN("e"), false, &value), TABLE_ERROR);
	CHECK_STR(maps_error(maps), "inline:{a=1, e=} lookup of e returns an empty string result");
	CHECK_INT(maps_find(maps, NULL, SPAN("b"), true, &value), TABLE_NOT_FOUND);
	CHECK_INT(maps_find(maps, NULL, SPAN(""), false, &value), TABLE_NOT_FOUND);
	maps_close(maps);

	maps = open_maps("");
	CHECK(maps_is_empty(maps));
	CHECK_INT(maps_find(maps, NULL, SPAN("a"), false, &value), TABLE_NOT_FOUND);
	maps_close(maps);
	CHECK(open_maps("static:x nosuch:y") == NULL);
}

/* An event-driven caller: asks, remembers, starts over; it must get there. */
static void test_maps_pending(void)
{
	struct maps_address_rules rules = { .extension = { .delimiters = SPAN("+") } };
	struct maps *maps = open_maps("proxy:hash:one proxy:hash:two");
	struct span value, extension;
	struct lookup lookup;
	enum table_status status;
	int rounds = 0;

	lookup_init(&lookup, true);
	for (;;) {
		status = maps_find_address(maps, &lookup, &rules, SPAN("u+x@d"), MAPS_KEYS_REWRITE,
					   &value, &extension);
		if (status != TABLE_PENDING || ++rounds > 20)
			break;

		bool is_it = strcmp(buf_str(&lookup.need.table), "hash:two") == 0 &&
			     strcmp(buf_str(&lookup.need.key), "@d") == 0;

		lookup_memo_set(&lookup, buf_str(&lookup.need.table), buf_span(&lookup.need.key),
				is_it ? TABLE_FOUND : TABLE_NOT_FOUND, SPAN("here"));
	}
	CHECK_INT(status, TABLE_FOUND);
	CHECK_INT(rounds, 6);
	CHECK_SPAN(value, "here");
	lookup_done(&lookup);
	maps_close(maps);
}

struct match_case {
	const char *list;
	const char *name;
	const char *address;
	enum match_kind kind;
	unsigned flags;
	enum match_result want;
};

static char include_path[] = "/tmp/match_test.XXXXXX";

static void test_match(void)
{
	static const struct match_case cases[] = {
		{ "a, B c", "b", "", MATCH_STRING, 0, MATCH_YES },
		{ "a, b", "x", "", MATCH_STRING, 0, MATCH_NO },
		{ "b.c", "a.b.c", "", MATCH_STRING, MATCH_PARENTS, MATCH_NO },
		{ "b.c", "a.B.c", "", MATCH_DOMAIN, MATCH_PARENTS, MATCH_YES },
		{ "b.c", "ab.c", "", MATCH_DOMAIN, MATCH_PARENTS, MATCH_NO },
		{ "b.c", "a.b.c", "", MATCH_DOMAIN, 0, MATCH_NO },
		{ ".b.c", "a.b.c", "", MATCH_DOMAIN, 0, MATCH_YES },
		{ ".b.c", "b.c", "", MATCH_DOMAIN, 0, MATCH_NO },
		{ ".b.c", "a.b.c", "", MATCH_DOMAIN, MATCH_PARENTS, MATCH_NO },
		{ "!x.b.c .b.c", "x.b.c", "", MATCH_DOMAIN, 0, MATCH_NO },
		{ "!x.b.c .b.c", "y.b.c", "", MATCH_DOMAIN, 0, MATCH_YES },
		{ "!!a", "a", "", MATCH_DOMAIN, 0, MATCH_YES },
		{ "inline:{b.c=x}", "a.b.c", "", MATCH_DOMAIN, MATCH_PARENTS, MATCH_YES },
		{ "inline:{b.c=x}", "a.b.c", "", MATCH_DOMAIN, 0, MATCH_NO },
		{ "inline:{.b.c=x}", "a.b.c", "", MATCH_DOMAIN, 0, MATCH_YES },
		{ "regexp:{{/^b/ x}}", "a.b.c", "", MATCH_DOMAIN, MATCH_PARENTS, MATCH_NO },
		{ "a fail:x b", "a", "", MATCH_DOMAIN, 0, MATCH_YES },
		{ "a fail:x b", "b", "", MATCH_DOMAIN, 0, MATCH_ERROR },
		{ "127.0.0.0/8 [::1]/128", "", "127.1.2.3", MATCH_ADDRESS, 0, MATCH_YES },
		{ "127.0.0.0/8 [::1]/128", "", "::1", MATCH_ADDRESS, 0, MATCH_YES },
		{ "127.0.0.0/8 [::1]", "", "::2", MATCH_ADDRESS, 0, MATCH_NO },
		{ "[2001:db8::/32]", "", "2001:db8::9", MATCH_ADDRESS, 0, MATCH_YES },
		{ "!127.0.0.1 127.0.0.0/8", "", "127.0.0.1", MATCH_ADDRESS, 0, MATCH_NO },
		{ "127.0.0.1/8", "", "192.0.2.1", MATCH_ADDRESS, 0, MATCH_ERROR },
		{ "host.example", "", "192.0.2.1", MATCH_ADDRESS, 0, MATCH_ERROR },
		{ "cidr:{{192.0.2.0/24 x}}", "", "192.0.2.1", MATCH_ADDRESS, 0, MATCH_YES },
		{ "h.test 192.0.2.0/24", "h.test", "203.0.113.1", MATCH_CLIENT, 0, MATCH_YES },
		{ "h.test 192.0.2.0/24", "unknown", "192.0.2.77", MATCH_CLIENT, 0, MATCH_YES },
		{ "h.test 192.0.2.0/24", "unknown", "", MATCH_CLIENT, 0, MATCH_NO },
		{ "inline:{192.0.2.1=x}", "h.test", "192.0.2.1", MATCH_CLIENT, 0, MATCH_YES },
		{ include_path, "c.test", "", MATCH_DOMAIN, 0, MATCH_YES },
		{ include_path, "a.test", "", MATCH_DOMAIN, 0, MATCH_YES },
		{ include_path, "b.test", "", MATCH_DOMAIN, 0, MATCH_NO },
		{ "", "a", "", MATCH_DOMAIN, 0, MATCH_NO },
	};
	struct buf error = BUF_INIT(4096);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct match_case *one = &cases[i];
		bool is_client = one->kind == MATCH_CLIENT || one->kind == MATCH_ADDRESS;
		struct match_list *list = match_open("test_list", span_of(one->list), one->kind,
						     one->flags | TABLE_FOLD, &error);
		enum match_result got = MATCH_PENDING;

		if (list == NULL)
			printf("# %s: %s\n", one->list, buf_str(&error));
		else if (is_client)
			got = match_client(list, NULL, span_of(one->name), span_of(one->address));
		else
			got = match_name(list, NULL, span_of(one->name));
		if (got != one->want)
			printf("# %s, %s, %s\n", one->list, one->name, one->address);
		CHECK_INT(got, one->want);
		CHECK(got != MATCH_ERROR || match_error(list)[0] != '\0');
		match_close(list);
	}
	CHECK(match_open("t", SPAN("/no/such/file"), MATCH_STRING, 0, &error) == NULL);
	CHECK(match_open("t", SPAN("nosuch:x"), MATCH_STRING, 0, &error) == NULL);
	CHECK(match_open("t", SPAN("a !"), MATCH_STRING, 0, &error) == NULL);
	buf_done(&error);
}

/* A file that includes itself is refused, not followed for ever. */
static void test_match_include_loop(void)
{
	char path[] = "/tmp/match_loop.XXXXXX";
	struct buf error = BUF_INIT(4096);
	int fd = mkstemp(path);

	CHECK(fd >= 0 && write(fd, path, strlen(path)) == (ssize_t)strlen(path));
	close(fd);
	CHECK(match_open("t", span_of(path), MATCH_STRING, 0, &error) == NULL);
	CHECK(strstr(buf_str(&error), "too many files") != NULL);
	(void)unlink(path);
	buf_done(&error);
}

static void test_match_pending(void)
{
	struct buf error = BUF_INIT(4096);
	struct match_list *list =
		match_open("t", SPAN("proxy:hash:x"), MATCH_DOMAIN, MATCH_PARENTS, &error);
	struct lookup lookup;

	lookup_init(&lookup, true);
	CHECK_INT(match_name(list, &lookup, SPAN("a.b")), MATCH_PENDING);
	lookup_memo_set(&lookup, "hash:x", SPAN("a.b"), TABLE_NOT_FOUND, SPAN(""));
	CHECK_INT(match_name(list, &lookup, SPAN("a.b")), MATCH_PENDING);
	CHECK_STR(buf_str(&lookup.need.key), "b");
	lookup_memo_set(&lookup, "hash:x", SPAN("b"), TABLE_FOUND, SPAN("x"));
	CHECK_INT(match_name(list, &lookup, SPAN("a.b")), MATCH_YES);
	lookup_done(&lookup);
	match_close(list);
	buf_done(&error);
}

int main(void)
{
	static const struct table_proxy proxy = { .lookup = note_key };
	static const char include[] = "# comment\na.test,\n  !b.test\n/dev/null\n.b.test c.test\n";
	int fd = mkstemp(include_path);

	if (fd < 0 || write(fd, include, sizeof(include) - 1) < 0)
		return 2;
	close(fd);
	table_set_proxy(&proxy);

	TEST(address_keys);
	TEST(domain_keys);
	TEST(maps_order);
	TEST(maps_pending);
	TEST(match);
	TEST(match_include_loop);
	TEST(match_pending);

	(void)unlink(include_path);
	buf_done(&asked);
	return test_end();
}
