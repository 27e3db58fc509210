/* SPDX-License-Identifier: MIT */
/* lib/table: every type's lookups, malformed names, broken files, databases, the proxy. */

#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "table/lookup.h"
#include "table/table.h"

static char folder[] = "/tmp/table_test.XXXXXX";
static struct buf warnings = BUF_INIT(1 << 20);

static void keep_warning(const char *text)
{
	buf_text(&warnings, text);
	buf_char(&warnings, '\n');
}

static bool has_warning(const char *text)
{
	return strstr(buf_str(&warnings), text) != NULL;
}

/* "type:FOLDER/name" for a file of this content; the result lives until the next call. */
static const char *table_file(const char *type, const char *name, const char *content)
{
	static char spec[300], path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void)snprintf(spec, sizeof(spec), "%s:%s", type, path);
	if (content != NULL) {
		FILE *file = fopen(path, "w");

		CHECK(file != NULL);
		if (file != NULL) {
			(void)fputs(content, file);
			(void)fclose(file);
		}
	}
	return spec;
}

static struct table *open_table(const char *spec, unsigned flags)
{
	struct buf error = BUF_INIT(4096);
	struct table *table = table_open(spec, flags, &error);

	if (table == NULL)
		printf("# %s: %s\n", spec, buf_str(&error));
	CHECK(table != NULL);
	buf_done(&error);
	return table;
}

/* The value, "-" when there is none, "error" or "pending". */
static const char *get(struct table *table, struct lookup *lookup, const char *key)
{
	static char text[1000];
	struct span value;

	if (table == NULL)
		return "no table";
	switch (table_lookup(table, lookup, span_of(key), &value)) {
	case TABLE_FOUND:
		(void)snprintf(text, sizeof(text), "%.*s", SPAN_ARG(value));
		CHECK(value.p[value.n] == '\0');
		return text;
	case TABLE_NOT_FOUND: return "-";
	case TABLE_ERROR: return "error";
	case TABLE_PENDING: return "pending";
	}
	return "?";
}

struct question {
	const char *key, *want;
};

static void ask(const char *spec, unsigned flags, const struct question *questions, size_t count)
{
	struct table *table = open_table(spec, flags);

	for (size_t i = 0; i < count; i++) {
		const char *got = get(table, NULL, questions[i].key);

		if (strcmp(got, questions[i].want) != 0)
			printf("# %s, key %s\n", spec, questions[i].key);
		CHECK_STR(got, questions[i].want);
	}
	table_close(table);
}
#define ASK(spec, flags, ...) \
	do { \
		static const struct question questions[] = { __VA_ARGS__ }; \
		ask(spec, flags, questions, ARRAY_LEN(questions)); \
	} while (0)

static void test_malformed_names(void)
{
	static const char *const names[] = {
		"nosuch:/x", "static:", "hash", ":x", "inline:x", "inline:{}", "inline:{a}", "inline:{= b}",
		"inline:{a = b}", "inline:{{a b=c}}", "inline:{ {a=b} }x", "static:{a b}x",
		"unionmap:{}", "unionmap:{,}", "unionmap:static:one", "unionmap:{foo}", "unionmap:{nosuch:x}",
		"pipemap:{}", "randmap:{}", "randmap:{,}", "unix:foo", "regexp:{/a/ x}", "cidr:{{1.2.3.4 x}",
		"proxy:x", "debug:debug:static:x", "debug:x",
		("unionmap:{unionmap:{unionmap:{unionmap:{unionmap:{unionmap:{unionmap:{unionmap:{"
		"unionmap:{static:x}}}}}}}}}"),
	};
	struct buf error = BUF_INIT(4096);

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct table *table = table_open(names[i], 0, &error);

		if (table != NULL)
			printf("# opened: %s\n", names[i]);
		CHECK(table == NULL);
		CHECK(buf_span(&error).n > 0);
		table_close(table);
	}
	CHECK(table_open("texthash:/x", TABLE_WRITE, &error) == NULL);
	CHECK(table_open("pcre:/x", TABLE_REBUILD, &error) == NULL);
	buf_done(&error);
}

static void test_small_types(void)
{
	ASK("static:fixed", 0, { "any", "fixed" }, { "", "-" });
	ASK("static:{fixed words}", 0, { "any", "fixed words" });
	ASK("inline:{a=1, {b = two words}}", 0, { "a", "1" }, { "b", "two words" }, { "c", "-" });
	ASK("inline:{a=1,a=2,B=3}", TABLE_FOLD, { "A", "2" }, { "b", "3" });
	ASK("inline:{A=1}", 0, { "A", "1" }, { "a", "-" });
	ASK("fail:x", 0, { "any", "error" });
	ASK("unionmap:{static:one, inline:{a=b}}", 0, { "a", "one,b" }, { "x", "one" });
	ASK("unionmap:{inline:{a=b},inline:{c=d}}", 0, { "x", "-" });
	ASK("unionmap:{static:one, fail:x}", 0, { "a", "error" });
	ASK("pipemap:{inline:{a=b},inline:{b=c}}", 0, { "a", "c" }, { "b", "-" });
	ASK("randmap:{x}", 0, { "any", "x" });
	ASK("debug:inline:{a=b}", 0, { "a", "b" }, { "c", "-" });
	ASK("unix:passwd.byname", 0, { "root", "root:x:0:0:root:/root:/bin/bash" },
	    { "no such user", "-" });
	(void)setenv("TABLE_TEST", "here", 1);
	ASK("environ:x", 0, { "TABLE_TEST", "here" }, { "TABLE_TEST_2", "-" });
}

static void test_internal(void)
{
	struct table *table = open_table("internal:x", TABLE_WRITE);

	CHECK_INT(table_put(table, SPAN("a"), SPAN("1")), TABLE_STORED);
	CHECK_INT(table_put(table, SPAN("a"), SPAN("2")), TABLE_DUPLICATE);
	CHECK_STR(get(table, NULL, "a"), "1");
	CHECK_INT(table_delete(table, SPAN("a")), TABLE_FOUND);
	CHECK_INT(table_delete(table, SPAN("a")), TABLE_NOT_FOUND);
	table_close(table);
}

static void test_texthash(void)
{
	buf_reset(&warnings);
	ASK(table_file("texthash", "text",
		       "  stray start\n# comment\nKey  value one\n\n  # more\nlong first,\n  second\n"
		       "lonely\n\"a \\\" b\"  quoted\nopen\"quote x\nkey again\nalias: x\n"),
	    TABLE_FOLD, { "KEY", "value one" }, { "long", "first,  second" }, { "lonely", "-" },
	    { "\"a \\\" b\"", "quoted" }, { "alias:", "x" });
	CHECK(has_warning("line 1: logical line must not start with whitespace"));
	CHECK(has_warning("line 8: expected format: key whitespace value"));
	CHECK(has_warning("line 10: unbalanced '\"' in"));
	CHECK(has_warning("line 11: duplicate entry: \"key\""));
	CHECK(has_warning("line 12: record is in \"key: value\" format"));
}

static void test_utf8(void)
{
	const char *spec = table_file("texthash", "utf8", "Ärger@Straße 1\nbad \xff\n");

	ASK(spec, TABLE_FOLD | TABLE_UTF8, { "ÄRGER@STRASSE", "1" }, { "\xff", "-" },
	    { "bad", "error" });
	ASK(spec, TABLE_FOLD, { "bad", "\xff" });
}

static const char patterns[] = "/^first (.*) and (.*)$/  ${2} $1 $(1)x $$\n"
			       "!/@/                     no at\n"
			       "/^CASE$/i                folded off\n"
			       "if /^in/\n"
			       "/side$/                  inside\n"
			       "!/x/                     in without x\n"
			       "endif\n"
			       "/in/                     last\n"
			       "/^(a)(b)?c@$/            [$1][$2]\n"
			       "/^\\/slash@/             slash\n";

static void test_patterns(void)
{
	static const char *const types[] = { "regexp", "pcre" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		ASK(table_file(types[i], "patterns", patterns), TABLE_FOLD,
		    { "First a and b@c", "b@c a ax $" }, { "plain", "no at" },
		    { "in@side", "inside" }, { "inx@", "last" }, { "in@", "in without x" },
		    { "q@", "-" }, { "ac@", "[a][]" }, { "/slash@", "slash" });
	ASK("regexp:{{/a/ x}, {/(b)/ <$1>}}", 0, { "a", "x" }, { "b", "<b>" });
	/* Patterns that the C library would make huge are left out, as malformed ones are. */
	ASK("regexp:{{/.++++++++++++++++++++++++++++++++++++++++/ x}, {/a/ y}}", 0, { "a", "y" });
	ASK("regexp:{{/((a{99}){99}){99}/ x}, {/a/ y}}", 0, { "a", "y" });
	ASK("regexp:{{/a?\?\?\?/ x}, {/a/ y}}", 0, { "a", "y" });
	ASK("regexp:{{/a?\?\?/ x}, {/a/ y}}", 0, { "a", "x" });
	ASK("regexp:{{/\\(a\\{999\\}\\)\\{999\\}/x x}, {/a/ y}}", 0, { "a", "y" });
	/* Each of these takes the C library longer than a minute, or all memory. */
	ASK("regexp:{{/(^|\\b|$|a)*/ x}, {/a/ y}}", 0, { "a", "y" });
	ASK("regexp:{{/(^|(^|a)*)*/ x}, {/a/ y}}", 0, { "a", "y" });
	ASK("regexp:{{/\\b((a?b?)*){30}/ x}, {/a/ y}}", 0, { "a", "y" });
	ASK("regexp:{{/(\\b|){80}/ x}, {/a/ y}}", 0, { "a", "y" });
	ASK("regexp:{{/((a?b?){50}){50}c/ x}, {/a/ y}}", 0, { "a", "y" });
	ASK("regexp:{{/(.*)\\1*/ x}, {/a/ y}}", 0, { "a", "y" });
	ASK("regexp:{{/.*(.)\\1/ x}, {/a/ y}}", 0, { "aa", "y" });
	/* What looks like them is good. */
	ASK("regexp:{{/(.)\\1{3}/ x}, {/^(one|two)\\1$/ y}}", 0, { "aaaa", "x" }, { "twotwo", "y" },
	    { "onetwo", "-" });
	ASK("regexp:{{/(^|[^a-z])(\\bone\\b|\\btwo +)+(x *)*$/ x}}", 0, { "one", "x" }, { "-two  xx", "x" },
	    { "bone", "-" });
	ASK("regexp:{{/^((Re|Fwd): *)*(\\[[^]]*\\] *)?.*money.*[!?]+ *$/ x}}", 0, { "Re: Fwd: [a] money!!", "x" });
	ASK("regexp:{{/^([0-9]{1,3}\\.){3}[0-9]{1,3}$/ ip}, {/^a\\+{2}$/ p}}", 0, { "192.0.2.1", "ip" },
	    { "a++", "p" });
}

static const char bad_patterns[] = "/unclosed  foo\n"
				   "/a(/ bad\n"
				   "!/neg(.)/ has $1\n"
				   "/empty/\n"
				   "/flag/z res\n"
				   "endif\n"
				   "/(range)/ $3\n"
				   "/(name)/ $name\n"
				   "/tail/ abc$\n"
				   "/brace(.)/ ${1\n"
				   "/zero(.)/ $0\n"
				   "what is this\n"
				   "if /open/\n"
				   "/good/ yes\n";

static void test_bad_patterns(void)
{
	static const char *const want[] = {
		"line 1: no closing regexp delimiter \"/\": skipping this rule",
		"line 2: ",
		"line 3: $number found in negative match replacement text: skipping this rule",
		"line 4: no replacement text: using empty string",
		"line 5: unknown regexp option \"z\": skipping this rule",
		"line 6: ignoring ENDIF without matching IF",
		"line 7: out of range replacement index \"3\": skipping this rule",
		"line 8: non-numeric replacement index \"name\": skipping this rule",
		"line 9: empty macro name: \"$\": skipping this rule",
		"line 10: truncated macro reference: \"{1\": skipping this rule",
		"line 11: out of range replacement index \"0\": skipping this rule",
		"line 12: ignoring unrecognized request",
		"line 13: IF has no matching ENDIF",
	};
	static const char *const types[] = { "regexp", "pcre" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		buf_reset(&warnings);
		ASK(table_file(types[i], "bad", bad_patterns), 0, { "opengood", "yes" },
		    { "good", "-" }, { "range", "-" });
		for (size_t j = 0; j < ARRAY_LEN(want); j++) {
			if (!has_warning(want[j]))
				printf("# not said: %s\n", want[j]);
			CHECK(has_warning(want[j]));
		}
	}
	ASK(table_file("regexp", "subst", "/(a)/ $1\n/b/ $$\n"), TABLE_NO_SUBST, { "a", "-" },
	    { "b", "$" });
}

static void test_pcre_limits(void)
{
	char subject[60];

	memset(subject, 'a', sizeof(subject) - 2);
	subject[58] = 'b';
	subject[59] = '\0';
	buf_reset(&warnings);

	struct table *table = open_table("pcre:{{/^(a+)+$/ slow}, {/b/ other}}", 0);

	CHECK_STR(get(table, NULL, subject), "error");
	CHECK(strstr(table_error(table), "line 1: match limit exceeded") != NULL);
	table_close(table);
}

static void test_cidr(void)
{
	buf_reset(&warnings);
	ASK(table_file("cidr", "nets",
		       "192.0.2.1 host\n192.0.2.0/24 net\n2001:db8::/32 six\n"
		       "if 198.51.100.0/24\n198.51.100.128/25 upper\n!198.51.100.0/26 middle\nendif\n"
		       "10.0.0.0/8   ten $1\n  and more\n192.0.2.5/24 bits\n1.2.3.0/33 mask\n"
		       "nonsense x\n[2001:db9::1] bracket\n[2001:dba::]/32 b2\n10.1.1.1\n0.0.0.0/0 all\n"),
	    TABLE_FOLD, { "192.0.2.1", "host" }, { "192.0.2.2", "net" }, { "2001:DB8::5", "six" },
	    { "198.51.100.200", "upper" }, { "198.51.100.70", "middle" },
	    { "198.51.100.5", "all" }, { "10.2.3.4", "ten $1  and more" },
	    { "2001:db9::1", "bracket" }, { "2001:dba:1::", "b2" }, { "::1", "-" },
	    { "name", "-" });
	CHECK(has_warning("line 10: non-null host address bits in \"192.0.2.5/24\", perhaps you "
			  "should use \"192.0.2.0/24\" instead: skipping this rule"));
	CHECK(has_warning("line 11: bad mask length in \"1.2.3.0/33\""));
	CHECK(has_warning("line 12: bad address pattern: \"nonsense\""));
	CHECK(has_warning("line 15: no lookup result: skipping this rule"));
}

static void test_missing_file(void)
{
	static const char *const types[] = { "texthash", "regexp", "cidr", "hash", "lmdb", "cdb" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct table *table = open_table(table_file(types[i], "missing", NULL), 0);

		CHECK_STR(get(table, NULL, "a"), "error");
		CHECK(strstr(table_error(table), "missing") != NULL);
		CHECK(!table_is_loaded(table) && !table_has_changed(table));
		table_close(table);
	}

	struct table *table = open_table(table_file("texthash", "late", NULL), 0);

	CHECK_STR(get(table, NULL, "a"), "error");
	(void)table_file("texthash", "late", "a 1\n");
	CHECK(table_has_changed(table));
	CHECK_STR(get(table, NULL, "a"), "1");
	CHECK(!table_has_changed(table));
	(void)table_file("texthash", "late", "a 12\n");
	CHECK(table_has_changed(table));
	table_close(table);
}

static void test_broken_files(void)
{
	static const char *const types[] = { "hash", "btree", "lmdb", "cdb" };
	static const char *const names[] = { "bad1.db", "bad2.db", "bad3.lmdb", "bad4.cdb" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		(void)table_file("x", names[i], "this is no database, but text of some length\n");

		char base[] = "bad1";

		base[3] = names[i][3];

		struct table *table = open_table(table_file(types[i], base, NULL), 0);

		CHECK_STR(get(table, NULL, "a"), "error");
		table_close(table);
	}
}

static void fill(const char *spec)
{
	struct table *table = open_table(spec, TABLE_FOLD | TABLE_REBUILD);

	if (table == NULL)
		return;
	CHECK_INT(table_put(table, SPAN("Key"), SPAN("value one")), TABLE_STORED);
	CHECK_INT(table_put(table, SPAN("key"), SPAN("again")), TABLE_DUPLICATE);
	for (int i = 0; i < 500; i++) {
		char key[20], value[40];

		(void)snprintf(key, sizeof(key), "k%d", i);
		(void)snprintf(value, sizeof(value), "value of %d", i);
		CHECK_INT(table_put(table, span_of(key), span_of(value)), TABLE_STORED);
	}
	CHECK(table_commit(table));
	CHECK_STR(get(table, NULL, "k499"), "value of 499");
	table_close(table);
}

static size_t count_entries(struct table *table)
{
	struct span key, value;
	size_t count = 0;

	while (table_next(table, count == 0, &key, &value) == TABLE_FOUND)
		count++;
	return count;
}

static void test_databases(void)
{
	static const char *const types[] = { "hash", "btree", "lmdb", "cdb" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		char name[] = "data1";

		name[4] = (char)('0' + i);

		const char *spec = table_file(types[i], name, NULL);

		fill(spec);

		struct table *table = open_table(spec, TABLE_FOLD);

		CHECK_STR(get(table, NULL, "KEY"), "value one");
		CHECK_STR(get(table, NULL, "k77"), "value of 77");
		CHECK_STR(get(table, NULL, "nosuch"), "-");
		CHECK_INT(count_entries(table), 501);
		CHECK(!table_has_changed(table));
		fill(spec);
		CHECK(table_has_changed(table));
		CHECK_STR(get(table, NULL, "key"), "value one");
		table_close(table);
	}
}

static void test_database_changes(void)
{
	static const char *const types[] = { "hash", "btree", "lmdb" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		char name[] = "live1";

		name[4] = (char)('0' + i);

		const char *spec = table_file(types[i], name, NULL);
		struct table *writer = open_table(spec, TABLE_WRITE);
		struct table *reader = open_table(spec, 0);

		if (writer == NULL || reader == NULL)
			return;
		CHECK_STR(get(reader, NULL, "a"), "-");
		CHECK_INT(table_put(writer, SPAN("a"), SPAN("1")), TABLE_STORED);
		CHECK_STR(get(writer, NULL, "a"), "1");
		CHECK(table_commit(writer));
		CHECK_STR(get(reader, NULL, "a"), "1");
		CHECK_INT(table_delete(writer, SPAN("a")), TABLE_FOUND);
		CHECK_INT(table_delete(writer, SPAN("a")), TABLE_NOT_FOUND);
		CHECK_INT(table_put(writer, SPAN("b"), SPAN("2")), TABLE_STORED);
		CHECK(table_commit(writer));
		CHECK_STR(get(reader, NULL, "a"), "-");
		CHECK_STR(get(reader, NULL, "b"), "2");
		table_close(writer);
		table_close(reader);
	}
}

static int proxy_questions;

static enum table_status proxy_lookup(const char *name, unsigned flags, struct span key,
				      struct buf *ret_value, struct buf *ret_error)
{
	CHECK(!(flags & TABLE_IN_JAIL));
	proxy_questions++;
	if (span_is(key, "fail")) {
		buf_text(ret_error, "out of order");
		return TABLE_ERROR;
	}
	if (!span_is(key, "a"))
		return TABLE_NOT_FOUND;
	buf_printf(ret_value, "%s", name);
	return TABLE_FOUND;
}

static void test_proxy(void)
{
	static const struct table_proxy proxy = { .lookup = proxy_lookup };
	struct lookup lookup;

	table_set_proxy(&proxy);
	ASK("proxy:ldap:/x", 0, { "a", "ldap:/x" }, { "b", "-" }, { "fail", "error" });
	ASK("hash:/x", TABLE_IN_JAIL | TABLE_FOLD, { "A", "hash:/x" });
	ASK("unix:passwd.byname", TABLE_IN_JAIL, { "a", "unix:passwd.byname" });
	ASK("unionmap:{static:s,hash:/x}", TABLE_IN_JAIL, { "a", "s,hash:/x" });

	lookup_init(&lookup, false);
	proxy_questions = 0;

	struct table *table = open_table("hash:/x", TABLE_IN_JAIL);

	CHECK_STR(get(table, &lookup, "a"), "hash:/x");
	CHECK_STR(get(table, &lookup, "a"), "hash:/x");
	CHECK_STR(get(table, &lookup, "fail"), "error");
	CHECK_STR(table_error(table), "out of order");
	CHECK_INT(proxy_questions, 2);
	lookup_reset(&lookup);
	CHECK_STR(get(table, &lookup, "a"), "hash:/x");
	CHECK_INT(proxy_questions, 3);
	table_close(table);
	lookup_done(&lookup);
}

static void test_pending(void)
{
	struct lookup lookup;
	struct table *table =
		open_table("pipemap:{hash:/x,inline:{one=uno},hash:/y}", TABLE_IN_JAIL);

	lookup_init(&lookup, true);
	CHECK_STR(get(table, &lookup, "k"), "pending");
	CHECK_STR(buf_str(&lookup.need.table), "hash:/x");
	CHECK_STR(buf_str(&lookup.need.key), "k");
	lookup_memo_set(&lookup, "hash:/x", SPAN("k"), TABLE_FOUND, SPAN("one"));
	CHECK_STR(get(table, &lookup, "k"), "pending");
	CHECK_STR(buf_str(&lookup.need.table), "hash:/y");
	CHECK_STR(buf_str(&lookup.need.key), "uno");
	lookup_memo_set(&lookup, "hash:/y", SPAN("uno"), TABLE_FOUND, SPAN("done"));
	CHECK_STR(get(table, &lookup, "k"), "done");
	table_close(table);
	lookup_done(&lookup);
}

int main(void)
{
	struct table_settings settings = table_settings_default();
	char command[100];

	if (mkdtemp(folder) == NULL)
		return 2;
	settings.warn = keep_warning;
	table_setup(&settings);
	table_register_databases();

	TEST(malformed_names);
	TEST(small_types);
	TEST(internal);
	TEST(texthash);
	TEST(utf8);
	TEST(patterns);
	TEST(bad_patterns);
	TEST(pcre_limits);
	TEST(cidr);
	TEST(missing_file);
	TEST(broken_files);
	TEST(databases);
	TEST(database_changes);
	TEST(proxy);
	TEST(pending);

	buf_done(&warnings);
	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command) != 0 ? 2 : test_end();
}
