/* SPDX-License-Identifier: MIT */
/*
 * posttls-finger(1): shows what TLS a server has, as Postfix's command of that name. Runs as its
 * caller, with or without a running mail system. Options become parameters in place of those of
 * main.cf; tables of policies, passwords and the like are left out.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "commands/posttls-finger/finger.h"
#include "conf/conf.h"
#include "smtp/smtp.h"

enum { TEXT_MAX = 65536 };

/* What several options of a kind, or the words behind the destination, add up to. */
static struct buf anchors = BUF_INIT(TEXT_MAX), chain_files = BUF_INIT(TEXT_MAX),
		  matches = BUF_INIT(TEXT_MAX);
static struct finger_options options = { .reconnect_max = 5, .shows_peer = true,
					 .shows_match = true };
static const char *loglevel = "1";

static NORETURN void usage(void)
{
	fatal("usage: posttls-finger [-acCfSvw] [-c] [-t conn_tmout] [-T cmd_tmout] [-L logopts] "
	      "[-h host_lookup] [-l level] [-d mdalg] [-g grade] [-p protocols] [-A tafile] "
	      "[-F CAfile.pem] [-P CApath/] [-s servername] [-M insecure_mx_policy] "
	      "[ [-H chainfiles] | [-k certfile [-K keyfile]] ] [-m count] [-r delay] "
	      "[-o name=value] destination [match ...]");
}

static void set(const char *name, const char *value)
{
	struct buf setting = BUF_INIT(2 * TEXT_MAX);

	(void)buf_printf(&setting, "%s = %s", name, value);
	conf_override(buf_str(&setting));
	buf_done(&setting);
}

static int number_of(char letter, const char *text)
{
	uint64_t number;

	if (!span_u64(span_of(text), 3600, &number))
		fatal("option -%c: %s is no number up to 3600", letter, log_clean_str(text));
	return (int)number;
}

static void set_seconds(char letter, const char *name, const char *text)
{
	char value[32];

	(void)snprintf(value, sizeof(value), "%ds", number_of(letter, text));
	set(name, value);
}

/* -L: a list of words, of which some say all that others say. */
static void set_log(const char *text)
{
	static const struct {
		const char *name;
		bool is_none, has_summary, has_peer, has_match, is_known_only;
	} words[] = {
		{ "0", true, false, false, false, false },
		{ "none", true, false, false, false, false },
		{ "1", false, true, false, false, false },
		{ "routine", false, true, false, false, false },
		{ "summary", false, true, false, false, false },
		{ "2", false, true, true, true, false },
		{ "debug", false, true, true, true, false },
		{ "3", false, true, true, true, false },
		{ "ssl-expert", false, true, true, true, false },
		{ "4", false, true, true, true, false },
		{ "ssl-developer", false, true, true, true, false },
		{ "verbose", false, false, true, true, false },
		{ "peercert", false, false, true, false, false },
		{ "certmatch", false, false, false, true, false },
		{ "untrusted", false, false, false, false, true },
		{ "cache", false, false, false, false, true },
		{ "ssl-debug", false, false, false, false, true },
		{ "ssl-handshake-packet-dump", false, false, false, false, true },
		{ "ssl-session-packet-dump", false, false, false, false, true },
	};
	struct span rest = span_of(text), word;

	options.shows_peer = options.shows_match = false;
	loglevel = "0";
	while ((word = span_word(&rest, ", \t")).n > 0) {
		size_t i = 0;

		while (i < ARRAY_LEN(words) && !span_is_nocase(word, words[i].name))
			i++;
		if (i == ARRAY_LEN(words))
			fatal("option -L: unknown word: %s", log_clean(word));
		options.shows_peer |= words[i].has_peer;
		options.shows_match |= words[i].has_match;
		if (words[i].has_summary)
			loglevel = "1";
	}
}

static void take_option(int letter, const char *value)
{
	switch (letter) {
	case 'a': set("smtp_address_preference", value); return;
	case 'A': (void)buf_printf(&anchors, "%s ", value); return;
	case 'c': options.is_quiet = true; return;
	case 'C': options.shows_chain = true; return;
	case 'd': set("smtp_tls_fingerprint_digest", value); return;
	case 'f': set("smtp_tls_force_insecure_host_tlsa_lookup", "yes"); return;
	case 'F': set("smtp_tls_CAfile", value); return;
	case 'g': set("smtp_tls_mandatory_ciphers", value); set("smtp_tls_ciphers", value); return;
	case 'h': set("smtp_host_lookup", value); return;
	case 'H': (void)buf_printf(&chain_files, "%s ", value); return;
	case 'k': options.cert = value; return;
	case 'K': options.key = value; return;
	case 'l': options.level = value; return;
	case 'L': set_log(value); return;
	case 'm': options.reconnect_max = number_of('m', value); return;
	case 'M': set("smtp_tls_dane_insecure_mx_policy", value); return;
	case 'o': conf_override(value); return;
	case 'p': set("smtp_tls_mandatory_protocols", value); set("smtp_tls_protocols", value); return;
	case 'P': set("smtp_tls_CApath", value); return;
	case 'r': options.reconnect_s = number_of('r', value); return;
	case 's': set("smtp_tls_servername", value); return;
	case 'S': is_lmtp = true; return;
	case 't': set_seconds('t', "smtp_connect_timeout", value); return;
	case 'T':
		set_seconds('T', "smtp_helo_timeout", value);
		set_seconds('T', "smtp_starttls_timeout", value);
		set_seconds('T', "smtp_quit_timeout", value);
		return;
	case 'v': log_verbose(log_verbosity() + 1); return;
	case 'w': set("smtp_tls_wrappermode", "yes"); return;
	case 'X': fatal("option -X: there is no tlsproxy");
	default: usage();
	}
}

/* What no option can change, and what options may change after it. */
static void set_defaults(void)
{
	static const char *const settings[][2] = {
		/* No tables, no passwords, no TLS settings that are for mail. */
		{ "smtp_tls_policy_maps", "" },        { "smtp_tls_per_site", "" },
		{ "smtp_tls_loglevel_maps", "" },      { "smtp_generic_maps", "" },
		{ "smtp_header_checks", "" },          { "smtp_mime_header_checks", "" },
		{ "smtp_nested_header_checks", "" },   { "smtp_body_checks", "" },
		{ "smtp_reply_filter", "" },           { "smtp_dns_reply_filter", "" },
		{ "smtp_pix_workaround_maps", "" },    { "smtp_sasl_auth_enable", "no" },
		{ "smtp_discard_ehlo_keyword_address_maps", "" },
		{ "smtp_tls_CAfile", "" },             { "smtp_tls_CApath", "" },
		{ "smtp_tls_trust_anchor_file", "" },  { "smtp_tls_servername", "" },
		{ "smtp_tls_chain_files", "" },        { "smtp_tls_cert_file", "" },
		{ "smtp_tls_key_file", "" },           { "smtp_tls_eccert_file", "" },
		{ "smtp_tls_eckey_file", "" },         { "smtp_tls_dcert_file", "" },
		{ "smtp_tls_dkey_file", "" },          { "smtp_tls_wrappermode", "no" },
		{ "tls_append_default_CA", "no" },     { "smtp_host_lookup", "dns" },
		{ "smtp_tls_mandatory_ciphers", "medium" }, { "smtp_tls_ciphers", "medium" },
		{ "smtp_tls_mandatory_protocols", ">=TLSv1" }, { "smtp_tls_protocols", ">=TLSv1" },
		{ "smtp_address_preference", "any" },  { "smtp_connect_timeout", "30s" },
		{ "smtp_helo_timeout", "30s" },        { "smtp_starttls_timeout", "30s" },
		{ "smtp_quit_timeout", "30s" },        { "smtp_skip_quit_response", "no" },
		{ "smtp_tls_session_cache_database", "internal:" }, { "smtp_tls_security_level", "may" },
		{ "smtp_dns_support_level", "dnssec" }, { "ignore_mx_lookup_error", "no" },
		{ "smtp_tls_dane_insecure_mx_policy", "dane" },           { "smtp_tls_mta_sts", "no" },
	};

	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		set(settings[i][0], settings[i][1]);
}

/* What the words behind the options say, and what options mean together. */
static void settle(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		(void)buf_printf(&matches, "%s%s", i > 1 ? " " : "", argv[i]);
	options.destination = argv[0];
	if (chain_files.length > 0 && (options.cert != NULL || options.key != NULL))
		fatal("option -H cannot be with -k or -K");
	if (anchors.length > 0)
		set("smtp_tls_trust_anchor_file", buf_str(&anchors));
	if (matches.length > 0) {
		set("smtp_tls_fingerprint_cert_match", buf_str(&matches));
		set("smtp_tls_verify_cert_match", buf_str(&matches));
		set("smtp_tls_secure_cert_match", buf_str(&matches));
	}
	if (is_lmtp)
		set("smtp_tcp_port", "24");
	set("smtp_tls_loglevel", loglevel);
}

int main(int argc, char **argv)
{
	int letter;

	log_open("posttls-finger", -1);
	(void)signal(SIGPIPE, SIG_IGN);
	set_defaults();
	while ((letter = getopt(argc, argv, "a:A:cCd:fF:g:h:H:k:K:l:L:m:M:o:p:P:r:s:St:T:vwX")) > 0)
		take_option(letter, optarg);
	if (optind >= argc)
		usage();
	settle(argc - optind, argv + optind);
	conf_load_command(NULL);
	if (!resolver_open() && options.level == NULL)
		options.level = "secure";
	if (options.level == NULL)
		options.level = "dane";
	if (options.cert == NULL)
		options.cert = options.key;
	if (options.key == NULL)
		options.key = options.cert;
	options.chain_files = buf_str(&chain_files);
	finger_run(&options);
	return 0;
}
