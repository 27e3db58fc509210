/* SPDX-License-Identifier: MIT */
/*
 * Rewriting and resolving. The rows were compared with the reference, run with the same
 * settings and tables; see trivial-rewrite(8) and transport(5).
 */

#include "base/ip.h"
#include "route/expand.h"
#include "route/route.h"
#include "test.h"

struct entry {
	enum route_maps maps;
	const char *key;
	const char *value;
};

static const struct entry entries[] = {
	{ ROUTE_TRANSPORT_MAPS, "t1.test", "slow:" },
	{ ROUTE_TRANSPORT_MAPS, "t2.test", ":[gw.test]" },
	{ ROUTE_TRANSPORT_MAPS, "t3.test", "x:y:z" },
	{ ROUTE_TRANSPORT_MAPS, "u@t4.test", "user:a" },
	{ ROUTE_TRANSPORT_MAPS, ".sub.test", "sub:b" },
	{ ROUTE_TRANSPORT_MAPS, "t5.test", ":" },
	{ ROUTE_TRANSPORT_MAPS, "local@local.test", "lt:lh" },
	{ ROUTE_TRANSPORT_MAPS, "t6.test", "noColon" },
	{ ROUTE_TRANSPORT_MAPS, "va-u@va.test", "vat:" },
	{ ROUTE_TRANSPORT_MAPS, "uext@t7.test", "ext:" },
	{ ROUTE_TRANSPORT_MAPS, "t8.test", "smtp:a.b, c.d" },
	{ ROUTE_TRANSPORT_MAPS, "t9.test", "error:5.1.2 no mail" },
	{ ROUTE_TRANSPORT_MAPS, "[1.2.3.4]", "lit:" },
	{ ROUTE_RELOCATED_MAPS, "moved@local.test", "new@x.test" },
	{ ROUTE_RELOCATED_MAPS, "movedlocal", "new2@x.test" },
	{ ROUTE_RELOCATED_MAPS, "@allmoved.test", "elsewhere" },
	{ ROUTE_RELOCATED_MAPS, "mu@vm.test", "vmnew@x.test" },
	{ ROUTE_RELOCATED_MAPS, "mv@va.test", "vanew@x.test" },
	{ ROUTE_RELOCATED_MAPS, "mt@t1.test", "qq" },
	{ ROUTE_SENDER_RELAYHOST_MAPS, "s@rh.test", "[srh.test]" },
	{ ROUTE_SENDER_RELAYHOST_MAPS, "@rhd.test", "drh.test" },
	{ ROUTE_SENDER_RELAYHOST_MAPS, "d@rhd.test", "DUNNO" },
	{ ROUTE_SENDER_RELAYHOST_MAPS, "<>", "nullrh.test" },
	{ ROUTE_SENDER_RELAYHOST_MAPS, "localsender", "lsrh.test" },
	{ ROUTE_SENDER_TRANSPORT_MAPS, "s@dt.test", "dtrans:dnext" },
	{ ROUTE_SENDER_TRANSPORT_MAPS, "@dt2.test", "dtrans2:" },
	{ ROUTE_SENDER_TRANSPORT_MAPS, "d@dt2.test", "DUNNO" },
};

static const struct {
	enum route_list list;
	const char *domain;
} domains[] = {
	{ ROUTE_MYDESTINATION, "local.test" },
	{ ROUTE_MYDESTINATION, "localhost" },
	{ ROUTE_MYDESTINATION, "both.test" },
	{ ROUTE_MYDESTINATION, "\303\251.local.test" },
	{ ROUTE_VIRTUAL_ALIAS_DOMAINS, "va.test" },
	{ ROUTE_VIRTUAL_ALIAS_DOMAINS, "both.test" },
	{ ROUTE_VIRTUAL_ALIAS_DOMAINS, "both2.test" },
	{ ROUTE_VIRTUAL_MAILBOX_DOMAINS, "vm.test" },
	{ ROUTE_VIRTUAL_MAILBOX_DOMAINS, "both2.test" },
	{ ROUTE_RELAY_DOMAINS, "relay.test" },
	{ ROUTE_RELAY_DOMAINS, "x.relay.test" },
};

/* What the tables do besides answering: nothing, fail, or become known one question at a time. */
struct tables {
	bool is_failing;
	bool is_async;
	unsigned known; /* questions answered so far in the resumable case */
	unsigned asked; /* by the current call */
};

static enum route_status gate(struct tables *tables)
{
	if (tables->is_failing)
		return ROUTE_ERROR;
	if (tables->is_async && tables->asked++ >= tables->known)
		return ROUTE_PENDING;
	return ROUTE_OK;
}

static enum route_status find(void *context, enum route_maps maps, struct span key,
			      bool is_partial UNUSED, struct span *ret_value)
{
	enum route_status status = gate(context);

	if (status != ROUTE_OK)
		return status;
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		if (entries[i].maps == maps && span_is_nocase(key, entries[i].key)) {
			*ret_value = span_of(entries[i].value);
			return ROUTE_OK;
		}
	}
	return ROUTE_NOT_FOUND;
}

static enum route_status match(void *context UNUSED, enum route_list list, struct span domain)
{
	for (size_t i = 0; i < ARRAY_LEN(domains); i++)
		if (domains[i].list == list && span_is(domain, domains[i].domain))
			return ROUTE_OK;
	return ROUTE_NOT_FOUND;
}

static bool is_own_address(void *context UNUSED, const struct ip_addr *addr)
{
	struct ip_addr loopback;

	return ip_parse(SPAN("127.0.0.1"), &loopback) && ip_equal(addr, &loopback);
}

static struct route_config config_a(void)
{
	return (struct route_config){
		.myhostname = SPAN("mail.example.test"),
		.mydomain = SPAN("example.test"),
		.myorigin = SPAN("origin.test"),
		.empty_address_recipient = SPAN("MAILER-DAEMON"),
		.empty_relayhost_key = SPAN("<>"),
		.empty_transport_key = SPAN("<>"),
		.ext = { SPAN("+"), true },
		.append_at_myorigin = true,
		.swap_bangpath = true,
		.allow_percent_hack = true,
		.resolve_dequoted_address = true,
		.relocated_prefix_enable = true,
		.show_user_unknown_table_name = true,
		.local_transport = SPAN("local:mail.example.test"),
		.virtual_transport = SPAN("virtual"),
		.relay_transport = SPAN("relay"),
		.default_transport = SPAN("smtp"),
	};
}

static struct route_config config_b(void)
{
	struct route_config config = config_a();

	config.append_dot_mydomain = true;
	config.swap_bangpath = config.allow_percent_hack = false;
	config.resolve_dequoted_address = false;
	config.resolve_null_domain = config.resolve_numeric_domain = true;
	config.show_user_unknown_table_name = false;
	config.local_transport = SPAN("local");
	config.virtual_transport = SPAN("lmtp:unix:x");
	config.relay_transport = SPAN("rel:");
	config.default_transport = SPAN("def:defnext");
	config.relayhost = SPAN("rhost.test");
	return config;
}

static struct route_lookups lookups_of(struct tables *tables)
{
	return (struct route_lookups){
		.context = tables,
		.has_maps = { true, true, true, true },
		.find = find,
		.match = match,
		.is_own_address = is_own_address,
	};
}

struct rewrite_case {
	enum route_context context;
	const char *address;
	const char *result;
};

static const struct rewrite_case rewrite_a[] = {
	{ ROUTE_LOCAL, "a", "a@origin.test" },
	{ ROUTE_LOCAL, "a@b", "a@b" },
	{ ROUTE_LOCAL, "a@b.", "a@b" },
	{ ROUTE_LOCAL, "a@b.test.", "a@b.test" },
	{ ROUTE_LOCAL, "b!a", "a@b" },
	{ ROUTE_LOCAL, "b!c!a", "c!a@b" },
	{ ROUTE_LOCAL, "a%b", "a@b" },
	{ ROUTE_LOCAL, "a%b%c", "a%b@c" },
	{ ROUTE_LOCAL, "a%", "a@" },
	{ ROUTE_LOCAL, "!a", "a@" },
	{ ROUTE_LOCAL, "@", "" },
	{ ROUTE_LOCAL, "a@", "a@" },
	{ ROUTE_LOCAL, "@r:a", "a@origin.test" },
	{ ROUTE_LOCAL, "@r,@s:a@b", "a@b" },
	{ ROUTE_LOCAL, "a@[1.2.3.4]", "a@[1.2.3.4]" },
	{ ROUTE_LOCAL, "a@b@c", "a@b@c" },
	{ ROUTE_LOCAL, "a.b", "a.b@origin.test" },
	{ ROUTE_LOCAL, "", "" },
	{ ROUTE_LOCAL, "b!a%c", "a%c@b" },
	{ ROUTE_LOCAL, "a@localhost", "a@localhost" },
	{ ROUTE_LOCAL, ".", ".@origin.test" },
	{ ROUTE_LOCAL, "a!", "@a" },
	{ ROUTE_REMOTE, "a", "a" },
	{ ROUTE_REMOTE, "a@b", "a@b" },
	{ ROUTE_REMOTE, "a@b.", "a@b" },
	{ ROUTE_REMOTE, "a@b.test.", "a@b.test" },
	{ ROUTE_REMOTE, "b!a", "a@b" },
	{ ROUTE_REMOTE, "b!c!a", "c!a@b" },
	{ ROUTE_REMOTE, "a%b", "a@b" },
	{ ROUTE_REMOTE, "a%b%c", "a%b@c" },
	{ ROUTE_REMOTE, "a%", "a@" },
	{ ROUTE_REMOTE, "!a", "a@" },
	{ ROUTE_REMOTE, "@", "" },
	{ ROUTE_REMOTE, "a@", "a@" },
	{ ROUTE_REMOTE, "@r:a", "a" },
	{ ROUTE_REMOTE, "@r,@s:a@b", "a@b" },
	{ ROUTE_REMOTE, "a@[1.2.3.4]", "a@[1.2.3.4]" },
	{ ROUTE_REMOTE, "a@b@c", "a@b@c" },
	{ ROUTE_REMOTE, "a.b", "a.b" },
	{ ROUTE_REMOTE, "", "" },
	{ ROUTE_REMOTE, "b!a%c", "a%c@b" },
	{ ROUTE_REMOTE, "a@localhost", "a@localhost" },
	{ ROUTE_REMOTE, ".", "." },
	{ ROUTE_REMOTE, "a!", "@a" },
};

static const struct rewrite_case rewrite_b[] = {
	{ ROUTE_LOCAL, "a", "a@origin.test" },
	{ ROUTE_LOCAL, "a@b", "a@b.example.test" },
	{ ROUTE_LOCAL, "a@b.", "a@b" },
	{ ROUTE_LOCAL, "a@b.test.", "a@b.test" },
	{ ROUTE_LOCAL, "b!a", "b!a@origin.test" },
	{ ROUTE_LOCAL, "b!c!a", "b!c!a@origin.test" },
	{ ROUTE_LOCAL, "a%b", "a%b@origin.test" },
	{ ROUTE_LOCAL, "a%b%c", "a%b%c@origin.test" },
	{ ROUTE_LOCAL, "a%", "a%@origin.test" },
	{ ROUTE_LOCAL, "!a", "!a@origin.test" },
	{ ROUTE_LOCAL, "@", "" },
	{ ROUTE_LOCAL, "a@", "a@" },
	{ ROUTE_LOCAL, "@r:a", "a@origin.test" },
	{ ROUTE_LOCAL, "@r,@s:a@b", "a@b.example.test" },
	{ ROUTE_LOCAL, "a@[1.2.3.4]", "a@[1.2.3.4]" },
	{ ROUTE_LOCAL, "a@b@c", "a@b@c.example.test" },
	{ ROUTE_LOCAL, "a.b", "a.b@origin.test" },
	{ ROUTE_LOCAL, "", "" },
	{ ROUTE_LOCAL, "b!a%c", "b!a%c@origin.test" },
	{ ROUTE_LOCAL, "a@localhost", "a@localhost.example.test" },
	{ ROUTE_LOCAL, ".", ".@origin.test" },
	{ ROUTE_LOCAL, "a!", "a!@origin.test" },
	{ ROUTE_REMOTE, "a", "a" },
	{ ROUTE_REMOTE, "a@b", "a@b" },
	{ ROUTE_REMOTE, "a@b.", "a@b" },
	{ ROUTE_REMOTE, "a@b.test.", "a@b.test" },
	{ ROUTE_REMOTE, "b!a", "b!a" },
	{ ROUTE_REMOTE, "b!c!a", "b!c!a" },
	{ ROUTE_REMOTE, "a%b", "a%b" },
	{ ROUTE_REMOTE, "a%b%c", "a%b%c" },
	{ ROUTE_REMOTE, "a%", "a%" },
	{ ROUTE_REMOTE, "!a", "!a" },
	{ ROUTE_REMOTE, "@", "" },
	{ ROUTE_REMOTE, "a@", "a@" },
	{ ROUTE_REMOTE, "@r:a", "a" },
	{ ROUTE_REMOTE, "@r,@s:a@b", "a@b" },
	{ ROUTE_REMOTE, "a@[1.2.3.4]", "a@[1.2.3.4]" },
	{ ROUTE_REMOTE, "a@b@c", "a@b@c" },
	{ ROUTE_REMOTE, "a.b", "a.b" },
	{ ROUTE_REMOTE, "", "" },
	{ ROUTE_REMOTE, "b!a%c", "b!a%c" },
	{ ROUTE_REMOTE, "a@localhost", "a@localhost" },
	{ ROUTE_REMOTE, ".", "." },
	{ ROUTE_REMOTE, "a!", "a!" },
};

static void check_rewrite(const struct route_config *config, const struct rewrite_case *row)
{
	struct buf out = BUF_INIT(1000);

	route_rewrite(config, row->context, span_of(row->address), &out);
	if (!span_is(buf_span(&out), row->result))
		printf("# %s\n", row->address);
	CHECK_SPAN(buf_span(&out), row->result);
	buf_done(&out);
}

static void test_rewrite(void)
{
	struct route_config a = config_a(), b = config_b();

	for (size_t i = 0; i < ARRAY_LEN(rewrite_a); i++)
		check_rewrite(&a, &rewrite_a[i]);
	for (size_t i = 0; i < ARRAY_LEN(rewrite_b); i++)
		check_rewrite(&b, &rewrite_b[i]);
	a.remote_header_rewrite_domain = SPAN("domain.invalid");
	check_rewrite(&a, &(struct rewrite_case){ ROUTE_REMOTE, "alone", "alone@domain.invalid" });
}

struct resolve_case {
	const char *sender;
	const char *address;
	enum route_class class;
	const char *transport;
	const char *nexthop;
	const char *recipient; /* not looked at for bad addresses */
	bool is_routed;
};

static const struct resolve_case resolve_a[] = {
	{ "s@s.test", "a", ROUTE_CLASS_DEFAULT, "smtp", "mail.example.test", "a@mail.example.test",
	  false },
	{ "s@s.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@local.test", false },
	{ "s@s.test", "A@LOCAL.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "A@LOCAL.test", false },
	{ "s@s.test", "a+x@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a+x@local.test", false },
	{ "s@s.test", "a@localhost", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@localhost", false },
	{ "s@s.test", "a@origin.test", ROUTE_CLASS_DEFAULT, "smtp", "origin.test", "a@origin.test",
	  false },
	{ "s@s.test", "a@[127.0.0.1]", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@[127.0.0.1]", false },
	{ "s@s.test", "a@[1.2.3.4]", ROUTE_CLASS_DEFAULT, "lit", "[1.2.3.4]", "a@[1.2.3.4]",
	  false },
	{ "s@s.test", "a@[9.9.9.9]", ROUTE_CLASS_DEFAULT, "smtp", "[9.9.9.9]", "a@[9.9.9.9]",
	  false },
	{ "s@s.test", "a@[IPv6:::1]", ROUTE_CLASS_DEFAULT, "smtp", "[IPv6:::1]", "a@[IPv6:::1]",
	  false },
	{ "s@s.test", "a@va.test", ROUTE_CLASS_VIRTUAL_ALIAS, "error",
	  "5.1.1 User unknown in virtual alias table", "a@va.test", false },
	{ "s@s.test", "a@vm.test", ROUTE_CLASS_VIRTUAL_MAILBOX, "virtual", "vm.test", "a@vm.test",
	  false },
	{ "s@s.test", "a@relay.test", ROUTE_CLASS_RELAY, "relay", "relay.test", "a@relay.test",
	  false },
	{ "s@s.test", "a@x.relay.test", ROUTE_CLASS_RELAY, "relay", "x.relay.test",
	  "a@x.relay.test", false },
	{ "s@s.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "smtp", "remote.test", "a@remote.test",
	  false },
	{ "s@s.test", "a@both.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@both.test", false },
	{ "s@s.test", "a@both2.test", ROUTE_CLASS_VIRTUAL_ALIAS, "error",
	  "5.1.1 User unknown in virtual alias table", "a@both2.test", false },
	{ "s@s.test", "a%b.test@local.test", ROUTE_CLASS_DEFAULT, "smtp", "b.test", "a@b.test",
	  false },
	{ "s@s.test", "b.test!a@local.test", ROUTE_CLASS_DEFAULT, "smtp", "b.test", "a@b.test",
	  false },
	{ "s@s.test", "a@b.test@local.test", ROUTE_CLASS_DEFAULT, "smtp", "b.test", "a@b.test",
	  false },
	{ "s@s.test", "a%local.test@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@local.test", false },
	{ "s@s.test", "a%remote.test%local.test@local.test", ROUTE_CLASS_DEFAULT, "smtp",
	  "remote.test", "a@remote.test", false },
	{ "s@s.test", "a@local.test@remote.test", ROUTE_CLASS_DEFAULT, "smtp", "remote.test",
	  "a@local.test@remote.test", true },
	{ "s@s.test", "a%b@remote.test", ROUTE_CLASS_DEFAULT, "smtp", "remote.test",
	  "a%b@remote.test", true },
	{ "s@s.test", "b!a@remote.test", ROUTE_CLASS_DEFAULT, "smtp", "remote.test",
	  "b!a@remote.test", true },
	{ "s@s.test", "@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "MAILER-DAEMON@local.test", false },
	{ "s@s.test", "a@", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax", "", false },
	{ "s@s.test", "@", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax", "", false },
	{ "s@s.test", "%a@local.test", ROUTE_CLASS_DEFAULT, "smtp", "a", "@a", false },
	{ "s@s.test", "a%@local.test", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax",
	  "", false },
	{ "s@s.test", "!a@local.test", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax",
	  "", false },
	{ "s@s.test", "a!@local.test", ROUTE_CLASS_DEFAULT, "smtp", "a", "@a", false },
	{ "s@s.test", "x@local.test.", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "x@local.test", false },
	{ "s@s.test", "x@remote.test.", ROUTE_CLASS_DEFAULT, "smtp", "remote.test",
	  "x@remote.test", false },
	{ "s@s.test", "x@remote.test..", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax",
	  "", false },
	{ "s@s.test", "a@1.2.3.4", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax", "",
	  false },
	{ "s@s.test", "-a@remote.test", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax",
	  "", false },
	{ "s@s.test", "-a@local.test", ROUTE_CLASS_LOCAL, "error", "5.1.3 bad address syntax", "",
	  false },
	{ "s@s.test", "-a", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax", "", false },
	{ "s@s.test", "a@t1.test", ROUTE_CLASS_DEFAULT, "slow", "t1.test", "a@t1.test", false },
	{ "s@s.test", "a@t2.test", ROUTE_CLASS_DEFAULT, "smtp", "[gw.test]", "a@t2.test", false },
	{ "s@s.test", "a@t3.test", ROUTE_CLASS_DEFAULT, "x", "y:z", "a@t3.test", false },
	{ "s@s.test", "u@t4.test", ROUTE_CLASS_DEFAULT, "user", "a", "u@t4.test", false },
	{ "s@s.test", "u+e@t4.test", ROUTE_CLASS_DEFAULT, "user", "a", "u+e@t4.test", false },
	{ "s@s.test", "v@t4.test", ROUTE_CLASS_DEFAULT, "smtp", "t4.test", "v@t4.test", false },
	{ "s@s.test", "a@sub.test", ROUTE_CLASS_DEFAULT, "smtp", "sub.test", "a@sub.test", false },
	{ "s@s.test", "a@x.sub.test", ROUTE_CLASS_DEFAULT, "sub", "b", "a@x.sub.test", false },
	{ "s@s.test", "a@y.x.sub.test", ROUTE_CLASS_DEFAULT, "sub", "b", "a@y.x.sub.test", false },
	{ "s@s.test", "a@t5.test", ROUTE_CLASS_DEFAULT, "smtp", "t5.test", "a@t5.test", false },
	{ "s@s.test", "local@local.test", ROUTE_CLASS_LOCAL, "lt", "lh", "local@local.test",
	  false },
	{ "s@s.test", "a@t6.test", ROUTE_CLASS_DEFAULT, "noColon", "t6.test", "a@t6.test", false },
	{ "s@s.test", "va-u@va.test", ROUTE_CLASS_VIRTUAL_ALIAS, "error",
	  "5.1.1 User unknown in virtual alias table", "va-u@va.test", false },
	{ "s@s.test", "uext+q@t7.test", ROUTE_CLASS_DEFAULT, "ext", "t7.test", "uext+q@t7.test",
	  false },
	{ "s@s.test", "a@t8.test", ROUTE_CLASS_DEFAULT, "smtp", "a.b, c.d", "a@t8.test", false },
	{ "s@s.test", "a@t9.test", ROUTE_CLASS_DEFAULT, "error", "5.1.2 no mail", "a@t9.test",
	  false },
	{ "s@s.test", "mv@va.test", ROUTE_CLASS_VIRTUAL_ALIAS, "error",
	  "5.1.6 User has moved to vanew@x.test", "mv@va.test", false },
	{ "s@s.test", "mt@t1.test", ROUTE_CLASS_DEFAULT, "error", "5.1.6 User has moved to qq",
	  "mt@t1.test", false },
	{ "s@s.test", "moved@local.test", ROUTE_CLASS_LOCAL, "error",
	  "5.1.6 User has moved to new@x.test", "moved@local.test", false },
	{ "s@s.test", "moved+x@local.test", ROUTE_CLASS_LOCAL, "error",
	  "5.1.6 User has moved to new@x.test", "moved+x@local.test", false },
	{ "s@s.test", "movedlocal@local.test", ROUTE_CLASS_LOCAL, "error",
	  "5.1.6 User has moved to new2@x.test", "movedlocal@local.test", false },
	{ "s@s.test", "q@allmoved.test", ROUTE_CLASS_DEFAULT, "error",
	  "5.1.6 User has moved to elsewhere", "q@allmoved.test", false },
	{ "s@s.test", "mu@vm.test", ROUTE_CLASS_VIRTUAL_MAILBOX, "error",
	  "5.1.6 User has moved to vmnew@x.test", "mu@vm.test", false },
	{ "s@s.test", "MAILER-DAEMON", ROUTE_CLASS_DEFAULT, "smtp", "mail.example.test",
	  "MAILER-DAEMON@mail.example.test", false },
	{ "s@s.test", "postmaster", ROUTE_CLASS_DEFAULT, "smtp", "mail.example.test",
	  "postmaster@mail.example.test", false },
	{ "s@s.test", "\303\251@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "\303\251@local.test", false },
	{ "s@s.test", "a@\303\251.local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@\303\251.local.test", false },
	{ "s@s.test", "a@\303\211.local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@\303\211.local.test", false },
	{ "s@s.test", "a@xn--9ca.local.test", ROUTE_CLASS_DEFAULT, "smtp", "xn--9ca.local.test",
	  "a@xn--9ca.local.test", false },
	{ "s@s.test", "a@\303\251.test", ROUTE_CLASS_DEFAULT, "smtp", "\303\251.test",
	  "a@\303\251.test", false },
	{ "s@s.test", "a@-bad.test", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax", "",
	  false },
	{ "s@s.test", "a@b..c", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax", "",
	  false },
	{ "s@s.test", "a@.b", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax", "", false },
	{ "s@s.test", "a.b.c@x_y.test", ROUTE_CLASS_DEFAULT, "smtp", "x_y.test", "a.b.c@x_y.test",
	  false },
	{ "s@s.test", "a@localhost.local.test", ROUTE_CLASS_DEFAULT, "smtp",
	  "localhost.local.test", "a@localhost.local.test", false },
	{ "s@s.test", "root", ROUTE_CLASS_DEFAULT, "smtp", "mail.example.test",
	  "root@mail.example.test", false },
	{ "s@rh.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "smtp", "[srh.test]", "a@remote.test",
	  false },
	{ "s@rh.test", "a@relay.test", ROUTE_CLASS_RELAY, "relay", "[srh.test]", "a@relay.test",
	  false },
	{ "s@rh.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@local.test", false },
	{ "t@rhd.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "smtp", "drh.test", "a@remote.test",
	  false },
	{ "t@rhd.test", "a@relay.test", ROUTE_CLASS_RELAY, "relay", "drh.test", "a@relay.test",
	  false },
	{ "t@rhd.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@local.test", false },
	{ "d@rhd.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "smtp", "remote.test",
	  "a@remote.test", false },
	{ "d@rhd.test", "a@relay.test", ROUTE_CLASS_RELAY, "relay", "relay.test", "a@relay.test",
	  false },
	{ "d@rhd.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@local.test", false },
	{ "", "a@remote.test", ROUTE_CLASS_DEFAULT, "smtp", "nullrh.test", "a@remote.test", false },
	{ "", "a@relay.test", ROUTE_CLASS_RELAY, "relay", "nullrh.test", "a@relay.test", false },
	{ "", "a@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test", "a@local.test",
	  false },
	{ "s@dt.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "dtrans", "dnext", "a@remote.test",
	  false },
	{ "s@dt.test", "a@relay.test", ROUTE_CLASS_RELAY, "relay", "relay.test", "a@relay.test",
	  false },
	{ "s@dt.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@local.test", false },
	{ "x@dt2.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "dtrans2", "remote.test",
	  "a@remote.test", false },
	{ "x@dt2.test", "a@relay.test", ROUTE_CLASS_RELAY, "relay", "relay.test", "a@relay.test",
	  false },
	{ "x@dt2.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@local.test", false },
	{ "d@dt2.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "smtp", "remote.test",
	  "a@remote.test", false },
	{ "d@dt2.test", "a@relay.test", ROUTE_CLASS_RELAY, "relay", "relay.test", "a@relay.test",
	  false },
	{ "d@dt2.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "mail.example.test",
	  "a@local.test", false },
	{ "localsender@local.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "smtp", "lsrh.test",
	  "a@remote.test", false },
	{ "localsender@local.test", "a@relay.test", ROUTE_CLASS_RELAY, "relay", "lsrh.test",
	  "a@relay.test", false },
	{ "localsender@local.test", "a@local.test", ROUTE_CLASS_LOCAL, "local",
	  "mail.example.test", "a@local.test", false },
};

/* Other transports and a relayhost, no rewriting of local parts. */
static const struct resolve_case resolve_b[] = {
	{ "s@s.test", "a", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@mail.example.test", false },
	{ "s@s.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "a@local.test",
	  false },
	{ "s@s.test", "A@LOCAL.test", ROUTE_CLASS_LOCAL, "local", "LOCAL.test", "A@LOCAL.test",
	  false },
	{ "s@s.test", "a+x@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "a+x@local.test",
	  false },
	{ "s@s.test", "a@localhost", ROUTE_CLASS_LOCAL, "local", "localhost", "a@localhost",
	  false },
	{ "s@s.test", "a@origin.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@origin.test",
	  false },
	{ "s@s.test", "a@[127.0.0.1]", ROUTE_CLASS_LOCAL, "local", "[127.0.0.1]", "a@[127.0.0.1]",
	  false },
	{ "s@s.test", "a@[1.2.3.4]", ROUTE_CLASS_DEFAULT, "lit", "[1.2.3.4]", "a@[1.2.3.4]",
	  false },
	{ "s@s.test", "a@[9.9.9.9]", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@[9.9.9.9]", false },
	{ "s@s.test", "a@[IPv6:::1]", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@[IPv6:::1]",
	  false },
	{ "s@s.test", "a@va.test", ROUTE_CLASS_VIRTUAL_ALIAS, "error", "5.1.1 User unknown",
	  "a@va.test", false },
	{ "s@s.test", "a@vm.test", ROUTE_CLASS_VIRTUAL_MAILBOX, "lmtp", "unix:x", "a@vm.test",
	  false },
	{ "s@s.test", "a@relay.test", ROUTE_CLASS_RELAY, "rel", "rhost.test", "a@relay.test",
	  false },
	{ "s@s.test", "a@x.relay.test", ROUTE_CLASS_RELAY, "rel", "rhost.test", "a@x.relay.test",
	  false },
	{ "s@s.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@remote.test",
	  false },
	{ "s@s.test", "a@both.test", ROUTE_CLASS_LOCAL, "local", "both.test", "a@both.test",
	  false },
	{ "s@s.test", "a@both2.test", ROUTE_CLASS_VIRTUAL_ALIAS, "error", "5.1.1 User unknown",
	  "a@both2.test", false },
	{ "s@s.test", "a%b.test@local.test", ROUTE_CLASS_LOCAL, "local", "local.test",
	  "a%b.test@local.test", true },
	{ "s@s.test", "b.test!a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test",
	  "b.test!a@local.test", true },
	{ "s@s.test", "a@b.test@local.test", ROUTE_CLASS_LOCAL, "local", "local.test",
	  "a@b.test@local.test", true },
	{ "s@s.test", "a%local.test@local.test", ROUTE_CLASS_LOCAL, "local", "local.test",
	  "a%local.test@local.test", true },
	{ "s@s.test", "a%remote.test%local.test@local.test", ROUTE_CLASS_LOCAL, "local",
	  "local.test", "a%remote.test%local.test@local.test", true },
	{ "s@s.test", "a@local.test@remote.test", ROUTE_CLASS_DEFAULT, "def", "defnext",
	  "a@local.test@remote.test", true },
	{ "s@s.test", "a%b@remote.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a%b@remote.test",
	  true },
	{ "s@s.test", "b!a@remote.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "b!a@remote.test",
	  true },
	{ "s@s.test", "@local.test", ROUTE_CLASS_LOCAL, "local", "local.test",
	  "MAILER-DAEMON@local.test", false },
	{ "s@s.test", "a@", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@mail.example.test", false },
	{ "s@s.test", "@", ROUTE_CLASS_DEFAULT, "def", "defnext",
	  "MAILER-DAEMON@mail.example.test", false },
	{ "s@s.test", "%a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "%a@local.test",
	  true },
	{ "s@s.test", "a%@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "a%@local.test",
	  true },
	{ "s@s.test", "!a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "!a@local.test",
	  true },
	{ "s@s.test", "a!@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "a!@local.test",
	  true },
	{ "s@s.test", "x@local.test.", ROUTE_CLASS_LOCAL, "local", "local.test", "x@local.test",
	  false },
	{ "s@s.test", "x@remote.test.", ROUTE_CLASS_DEFAULT, "def", "defnext", "x@remote.test",
	  false },
	{ "s@s.test", "x@remote.test..", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax",
	  "", false },
	{ "s@s.test", "a@1.2.3.4", ROUTE_CLASS_DEFAULT, "lit", "[1.2.3.4]", "a@[1.2.3.4]", false },
	{ "s@s.test", "-a@remote.test", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax",
	  "", false },
	{ "s@s.test", "-a@local.test", ROUTE_CLASS_LOCAL, "error", "5.1.3 bad address syntax", "",
	  false },
	{ "s@s.test", "-a", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax", "", false },
	{ "s@s.test", "a@t1.test", ROUTE_CLASS_DEFAULT, "slow", "t1.test", "a@t1.test", false },
	{ "s@s.test", "a@t2.test", ROUTE_CLASS_DEFAULT, "def", "[gw.test]", "a@t2.test", false },
	{ "s@s.test", "a@t3.test", ROUTE_CLASS_DEFAULT, "x", "y:z", "a@t3.test", false },
	{ "s@s.test", "u@t4.test", ROUTE_CLASS_DEFAULT, "user", "a", "u@t4.test", false },
	{ "s@s.test", "u+e@t4.test", ROUTE_CLASS_DEFAULT, "user", "a", "u+e@t4.test", false },
	{ "s@s.test", "v@t4.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "v@t4.test", false },
	{ "s@s.test", "a@sub.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@sub.test", false },
	{ "s@s.test", "a@x.sub.test", ROUTE_CLASS_DEFAULT, "sub", "b", "a@x.sub.test", false },
	{ "s@s.test", "a@y.x.sub.test", ROUTE_CLASS_DEFAULT, "sub", "b", "a@y.x.sub.test", false },
	{ "s@s.test", "a@t5.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@t5.test", false },
	{ "s@s.test", "local@local.test", ROUTE_CLASS_LOCAL, "lt", "lh", "local@local.test",
	  false },
	{ "s@s.test", "a@t6.test", ROUTE_CLASS_DEFAULT, "noColon", "t6.test", "a@t6.test", false },
	{ "s@s.test", "va-u@va.test", ROUTE_CLASS_VIRTUAL_ALIAS, "error", "5.1.1 User unknown",
	  "va-u@va.test", false },
	{ "s@s.test", "uext+q@t7.test", ROUTE_CLASS_DEFAULT, "ext", "t7.test", "uext+q@t7.test",
	  false },
	{ "s@s.test", "a@t8.test", ROUTE_CLASS_DEFAULT, "smtp", "a.b, c.d", "a@t8.test", false },
	{ "s@s.test", "a@t9.test", ROUTE_CLASS_DEFAULT, "error", "5.1.2 no mail", "a@t9.test",
	  false },
	{ "s@s.test", "mv@va.test", ROUTE_CLASS_VIRTUAL_ALIAS, "error",
	  "5.1.6 User has moved to vanew@x.test", "mv@va.test", false },
	{ "s@s.test", "mt@t1.test", ROUTE_CLASS_DEFAULT, "error", "5.1.6 User has moved to qq",
	  "mt@t1.test", false },
	{ "s@s.test", "moved@local.test", ROUTE_CLASS_LOCAL, "error",
	  "5.1.6 User has moved to new@x.test", "moved@local.test", false },
	{ "s@s.test", "moved+x@local.test", ROUTE_CLASS_LOCAL, "error",
	  "5.1.6 User has moved to new@x.test", "moved+x@local.test", false },
	{ "s@s.test", "movedlocal@local.test", ROUTE_CLASS_LOCAL, "error",
	  "5.1.6 User has moved to new2@x.test", "movedlocal@local.test", false },
	{ "s@s.test", "q@allmoved.test", ROUTE_CLASS_DEFAULT, "error",
	  "5.1.6 User has moved to elsewhere", "q@allmoved.test", false },
	{ "s@s.test", "mu@vm.test", ROUTE_CLASS_VIRTUAL_MAILBOX, "error",
	  "5.1.6 User has moved to vmnew@x.test", "mu@vm.test", false },
	{ "s@s.test", "MAILER-DAEMON", ROUTE_CLASS_DEFAULT, "def", "defnext",
	  "MAILER-DAEMON@mail.example.test", false },
	{ "s@s.test", "postmaster", ROUTE_CLASS_DEFAULT, "def", "defnext",
	  "postmaster@mail.example.test", false },
	{ "s@s.test", "\303\251@local.test", ROUTE_CLASS_LOCAL, "local", "local.test",
	  "\303\251@local.test", false },
	{ "s@s.test", "a@\303\251.local.test", ROUTE_CLASS_LOCAL, "local", "\303\251.local.test",
	  "a@\303\251.local.test", false },
	{ "s@s.test", "a@\303\211.local.test", ROUTE_CLASS_LOCAL, "local", "\303\211.local.test",
	  "a@\303\211.local.test", false },
	{ "s@s.test", "a@xn--9ca.local.test", ROUTE_CLASS_DEFAULT, "def", "defnext",
	  "a@xn--9ca.local.test", false },
	{ "s@s.test", "a@\303\251.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@\303\251.test",
	  false },
	{ "s@s.test", "a@-bad.test", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax", "",
	  false },
	{ "s@s.test", "a@b..c", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax", "",
	  false },
	{ "s@s.test", "a@.b", ROUTE_CLASS_DEFAULT, "error", "5.1.3 bad address syntax", "", false },
	{ "s@s.test", "a.b.c@x_y.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a.b.c@x_y.test",
	  false },
	{ "s@s.test", "a@localhost.local.test", ROUTE_CLASS_DEFAULT, "def", "defnext",
	  "a@localhost.local.test", false },
	{ "s@s.test", "root", ROUTE_CLASS_DEFAULT, "def", "defnext", "root@mail.example.test",
	  false },
	{ "s@rh.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@remote.test",
	  false },
	{ "s@rh.test", "a@relay.test", ROUTE_CLASS_RELAY, "rel", "[srh.test]", "a@relay.test",
	  false },
	{ "s@rh.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "a@local.test",
	  false },
	{ "t@rhd.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@remote.test",
	  false },
	{ "t@rhd.test", "a@relay.test", ROUTE_CLASS_RELAY, "rel", "drh.test", "a@relay.test",
	  false },
	{ "t@rhd.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "a@local.test",
	  false },
	{ "d@rhd.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@remote.test",
	  false },
	{ "d@rhd.test", "a@relay.test", ROUTE_CLASS_RELAY, "rel", "rhost.test", "a@relay.test",
	  false },
	{ "d@rhd.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "a@local.test",
	  false },
	{ "", "a@remote.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@remote.test", false },
	{ "", "a@relay.test", ROUTE_CLASS_RELAY, "rel", "nullrh.test", "a@relay.test", false },
	{ "", "a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "a@local.test", false },
	{ "s@dt.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "dtrans", "dnext", "a@remote.test",
	  false },
	{ "s@dt.test", "a@relay.test", ROUTE_CLASS_RELAY, "rel", "rhost.test", "a@relay.test",
	  false },
	{ "s@dt.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "a@local.test",
	  false },
	{ "x@dt2.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "dtrans2", "rhost.test",
	  "a@remote.test", false },
	{ "x@dt2.test", "a@relay.test", ROUTE_CLASS_RELAY, "rel", "rhost.test", "a@relay.test",
	  false },
	{ "x@dt2.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "a@local.test",
	  false },
	{ "d@dt2.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "def", "defnext", "a@remote.test",
	  false },
	{ "d@dt2.test", "a@relay.test", ROUTE_CLASS_RELAY, "rel", "rhost.test", "a@relay.test",
	  false },
	{ "d@dt2.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test", "a@local.test",
	  false },
	{ "localsender@local.test", "a@remote.test", ROUTE_CLASS_DEFAULT, "def", "defnext",
	  "a@remote.test", false },
	{ "localsender@local.test", "a@relay.test", ROUTE_CLASS_RELAY, "rel", "lsrh.test",
	  "a@relay.test", false },
	{ "localsender@local.test", "a@local.test", ROUTE_CLASS_LOCAL, "local", "local.test",
	  "a@local.test", false },
};

static void check_route(const struct resolve_case *row, enum route_status status,
			const struct route *route)
{
	int failures = test_failures_here;

	CHECK_INT(status, ROUTE_OK);
	CHECK_STR(buf_str(&route->transport), row->transport);
	CHECK_STR(buf_str(&route->nexthop), row->nexthop);
	if (row->recipient[0] != '\0') {
		CHECK_INT(route->class, row->class);
		CHECK_STR(buf_str(&route->recipient), row->recipient);
		CHECK_INT(route->is_routed, row->is_routed);
	}
	CHECK_INT(route->is_bad, row->recipient[0] == '\0');
	if (failures != test_failures_here)
		printf("# ... from %s to %s\n", row->sender, row->address);
}

static void test_resolve(void)
{
	struct route_config a = config_a(), b = config_b();
	struct tables tables = { 0 };
	struct route_lookups all = lookups_of(&tables);
	struct route route;

	route_init(&route);
	for (size_t i = 0; i < ARRAY_LEN(resolve_a); i++)
		check_route(&resolve_a[i],
			    route_resolve(&a, &all, span_of(resolve_a[i].sender),
					  span_of(resolve_a[i].address), &route),
			    &route);
	for (size_t i = 0; i < ARRAY_LEN(resolve_b); i++)
		check_route(&resolve_b[i],
			    route_resolve(&b, &all, span_of(resolve_b[i].sender),
					  span_of(resolve_b[i].address), &route),
			    &route);
	CHECK_INT(route_resolve(&a, &all, SPAN(""), SPAN("a@both.test"), &route), ROUTE_OK);
	CHECK_STR(buf_str(&route.warning),
		  "do not list domain both.test in BOTH mydestination and virtual_alias_domains");
	route_done(&route);
}

static void test_null_address(void)
{
	struct route_config a = config_a();
	struct tables tables = { 0 };
	struct route_lookups all = lookups_of(&tables);
	struct route route;

	route_init(&route);
	CHECK_INT(route_resolve(&a, &all, SPAN(""), SPAN(""), &route), ROUTE_OK);
	CHECK_STR(buf_str(&route.recipient), "MAILER-DAEMON@mail.example.test");
	CHECK_STR(buf_str(&route.nexthop), "nullrh.test");
	route_done(&route);
}

/* Each call gets one question further; in the end the result is the same. */
static void test_resumption(void)
{
	struct route_config a = config_a();
	struct tables tables = { .is_async = true };
	struct route_lookups all = lookups_of(&tables);
	struct route route;

	route_init(&route);
	for (size_t i = 0; i < ARRAY_LEN(resolve_a); i++) {
		enum route_status status;

		tables.known = 0;
		do {
			tables.asked = 0;
			status = route_resolve(&a, &all, span_of(resolve_a[i].sender),
					       span_of(resolve_a[i].address), &route);
			tables.known++;
		} while (status == ROUTE_PENDING && tables.known < 100);
		check_route(&resolve_a[i], status, &route);
	}
	tables.is_failing = true;
	CHECK_INT(route_resolve(&a, &all, SPAN(""), SPAN("a@remote.test"), &route), ROUTE_ERROR);
	CHECK_STR(buf_str(&route.warning),
		  "sender_dependent_default_transport_maps lookup failure");
	CHECK_INT(route_resolve(&a, &all, SPAN(""), SPAN("a@local.test"), &route), ROUTE_ERROR);
	CHECK_STR(buf_str(&route.warning), "transport_maps lookup failure");
	route_done(&route);
}

static bool append_word(void *context, struct span address)
{
	struct buf *out = context;

	buf_add(out, address);
	return buf_char(out, '|');
}

static void test_expand(void)
{
	static const struct {
		const char *value;
		const char *address;
		const char *ext;
		const char *result;
	} cases[] = {
		{ "alice@example.test, bob", "x@va.test", "",
		  "alice@example.test|bob@origin.test|" },
		{ "a b <c@d.test>", "x@va.test", "", "c@d.test|" },
		{ "@other.test", "x+y@va.test", "", "x+y@other.test|" },
		{ "dave@example.test", "u+other@va.test", "+other", "dave+other@example.test|" },
		{ "\"a b\"@d.test", "x", "+e", "a b+e@d.test|" },
		{ "x!y", "a", "", "y@x|" },
		{ "", "a", "", "" },
		{ "Name <>", "a", "", "" },
	};
	struct route_config a = config_a();
	struct buf out = BUF_INIT(1000);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_reset(&out);
		CHECK(route_expand(&a, span_of(cases[i].value), span_of(cases[i].address),
				   span_of(cases[i].ext), append_word, &out));
		CHECK_SPAN(buf_span(&out), cases[i].result);
	}
	buf_done(&out);
}

static void test_extensions(void)
{
	static const struct {
		const char *local;
		const char *delimiters;
		const char *user;
		const char *ext;
	} cases[] = {
		{ "a+b", "+", "a", "b" },          { "a+b-c", "+-", "a", "b-c" },
		{ "a-b+c", "+-", "a", "b+c" },     { "+b", "+", NULL, NULL },
		{ "a", "+", NULL, NULL },          { "a+", "+", "a", "" },
		{ "a+b", "", NULL, NULL },         { "owner-x", "-", NULL, NULL },
		{ "x-Request", "-", NULL, NULL },  { "owner-x+y", "+", "owner-x", "y" },
		{ "Postmaster", "t", NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr_ext_rules rules = { span_of(cases[i].delimiters), true };
		struct span user, ext;
		bool is_split = addr_ext_split(span_of(cases[i].local), &rules, &user, &ext);

		CHECK_INT(is_split, cases[i].user != NULL);
		if (is_split) {
			CHECK_SPAN(user, cases[i].user);
			CHECK_SPAN(ext, cases[i].ext);
		}
	}
}

int main(void)
{
	TEST(rewrite);
	TEST(resolve);
	TEST(null_address);
	TEST(resumption);
	TEST(expand);
	TEST(extensions);
	return test_end();
}
