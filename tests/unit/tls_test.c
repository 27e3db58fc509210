/* SPDX-License-Identifier: MIT */
/* lib/tls: lists of protocols and ciphers, names, what may be signed, and whole handshakes. */

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "tls/chains.h"
#include "tls/keysign.h"
#include "tls/limits.h"
#include "tls/signed_text.h"
#include "test.h"

static struct conf values = {
	.tls_high_cipherlist = "HIGH:@STRENGTH",
	.tls_medium_cipherlist = "HIGH:MEDIUM",
	.tls_null_cipherlist = "eNULL:!aNULL",
	.tls_eecdh_auto_curves = "X25519 no-such-curve prime256v1",
	.tls_ffdhe_auto_groups = "ffdhe2048",
	.tls_config_file = "default",
	.tls_config_name = "",
	.tls_fast_shutdown_enable = true,
	.tls_dane_digests = "sha512 sha256",
};

static void test_versions(void)
{
	static const struct {
		const char *list;
		bool is_good;
		unsigned allowed;
	} rows[] = {
		{ "", true, TLS_ALL },
		{ ">=TLSv1.2", true, TLS_1_2 | TLS_1_3 },
		{ ">=0x0303, <=TLSv1.2", true, TLS_1_2 },
		{ "!SSLv2, !SSLv3, !TLSv1", true, TLS_1_1 | TLS_1_2 | TLS_1_3 },
		{ "tlsv1.3", true, TLS_1_3 },
		{ "TLSv1.2:TLSv1.3 !TLSv1.2", true, TLS_1_3 },
		{ "TLSv1.2, >=TLSv1.3", false, 0 },
		{ "SSLv3", false, 0 },
		{ ">=TLSv1.4", false, 0 },
		{ ">=0x03zz", false, 0 },
		{ "!", false, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf error = BUF_INIT(1000);
		unsigned allowed = 0;

		CHECK_INT(tls_versions_parse(span_of(rows[i].list), &allowed, &error),
			  rows[i].is_good);
		CHECK_INT(allowed, rows[i].allowed);
		CHECK_INT(error.length > 0, !rows[i].is_good);
		buf_done(&error);
	}
}

static void test_ciphers(void)
{
	static const struct {
		struct tls_limits limits;
		const char *want; /* NULL: refused */
	} rows[] = {
		{ { "", "high", NULL, NULL }, "HIGH:@STRENGTH:!kRSA:!aNULL" },
		{ { "", "export", "", "" }, "HIGH:MEDIUM:!kRSA:!aNULL" },
		{ { "", "Medium", "AES128, 3DES", "kDHE+AES" },
		  "HIGH:MEDIUM:!kRSA:!aNULL:!AES128:!3DES:!kDHE+AES" },
		{ { "", "strong", NULL, NULL }, NULL },
		{ { "", "high", "@SECLEVEL=0", NULL }, NULL },
		{ { "", "high", "!AES", NULL }, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(1000), error = BUF_INIT(1000);
		bool is_good = tls_ciphers_make(&rows[i].limits, &out, &error);

		CHECK_INT(is_good, rows[i].want != NULL);
		if (is_good)
			CHECK_STR(buf_str(&out), rows[i].want);
		buf_done(&out);
		buf_done(&error);
	}
}

static void test_names(void)
{
	static const struct {
		const char *name, *pattern;
		bool matches, matches_wide;
	} rows[] = {
		{ "mx.example.com", "MX.example.com", true, true },
		{ "mx.example.com", "example.com", false, false },
		{ "mx.example.com", ".example.com", true, true },
		{ "example.com", ".example.com", false, false },
		{ "badexample.com", ".example.com", false, false },
		{ "*.example.com", "mx.example.com", true, true },
		{ "*.example.com", "a.mx.example.com", false, true },
		{ "*.example.com", "example.com", false, false },
		{ "*.example.com", ".example.com", true, true },
		{ "*.com", "example.com", false, false },
		{ "m*.example.com", "mx.example.com", false, false },
		{ "*.*.com", "a.b.com", false, false },
		{ "mx.example.com.evil", "mx.example.com", false, false },
		{ "mx.example.com ", "mx.example.com", false, false },
		{ "", "", false, false },
		{ "*", "*", false, false },
		{ ".", ".", false, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span name = span_of(rows[i].name), pattern = span_of(rows[i].pattern);

		CHECK_INT(tls_name_matches(name, pattern, false), rows[i].matches);
		CHECK_INT(tls_name_matches(name, pattern, true), rows[i].matches_wide);
	}
	CHECK(!tls_name_matches((struct span){ "mx.example.com\0x", 16 }, SPAN("mx.example.com"),
				true));
}

static void test_file_names(void)
{
	struct tls_file_names names = { .role = TLS_SERVER, .chain_files = "", .cert = "/a b",
					.key = "/k\n", .eccert = "", .eckey = "", .dcert = "",
					.dkey = "", .sni_maps = "hash:/x" };
	struct tls_file_spans spans;
	struct buf text = BUF_INIT(1000);

	tls_file_names_text(&names, &text);
	CHECK(tls_file_names_parse(buf_span(&text), &spans));
	CHECK_INT(spans.role, TLS_SERVER);
	CHECK_SPAN(spans.cert, "/a b");
	CHECK_SPAN(spans.key, "/k");
	CHECK_SPAN(spans.sni_maps, "hash:/x");
	CHECK_SPAN(spans.chain_files, "");
	CHECK(!tls_file_names_parse(SPAN("server\ta\tb"), &spans));
	CHECK(!tls_file_names_parse(SPAN("nobody\ta\tb\t\t\t\t\t\t"), &spans));
	CHECK(!tls_file_names_parse(SPAN(""), &spans));
	buf_reset(&text);
	names = (struct tls_file_names){ .role = TLS_CLIENT, .cert = "none", .key = "none" };
	tls_file_names_text(&names, &text);
	CHECK_INT(text.length, 0);
	buf_done(&text);
}

static void test_signed_text(void)
{
	struct buf text = BUF_INIT(4000);
	char spaces[64], randoms[64];

	memset(spaces, ' ', sizeof(spaces));
	memset(randoms, 'r', sizeof(randoms));
	(void)buf_append(&text, spaces, sizeof(spaces));
	(void)buf_append(&text, "TLS 1.3, server CertificateVerify", 34);
	CHECK(!signed_text_is_tls(buf_span(&text), TLS_SERVER));
	(void)buf_append(&text, randoms, 32);
	CHECK(signed_text_is_tls(buf_span(&text), TLS_SERVER));
	CHECK(!signed_text_is_tls(buf_span(&text), TLS_CLIENT));
	(void)buf_append(&text, randoms, 16);
	CHECK(signed_text_is_tls(buf_span(&text), TLS_SERVER));
	(void)buf_char(&text, 'x');
	CHECK(!signed_text_is_tls(buf_span(&text), TLS_SERVER));

	(void)buf_set(&text, (struct span){ randoms, 64 });
	CHECK(!signed_text_is_tls(buf_span(&text), TLS_SERVER));
	(void)buf_append(&text, "\3\0\27\4abcd", 8);
	CHECK(signed_text_is_tls(buf_span(&text), TLS_SERVER));
	CHECK(!signed_text_is_tls(buf_span(&text), TLS_CLIENT));
	(void)buf_char(&text, 'e');
	CHECK(!signed_text_is_tls(buf_span(&text), TLS_SERVER));

	(void)buf_set(&text, (struct span){ randoms, 64 });
	(void)buf_append(&text, "\0\2pp\0\1g\0\2YY", 11);
	CHECK(signed_text_is_tls(buf_span(&text), TLS_SERVER));
	buf_truncate(&text, text.length - 1);
	CHECK(!signed_text_is_tls(buf_span(&text), TLS_SERVER));

	(void)buf_set(&text, (struct span){ "\1\0\0\2hi\2\0\0\0\20\0\0\1k", 15 });
	CHECK(signed_text_is_tls(buf_span(&text), TLS_CLIENT));
	CHECK(!signed_text_is_tls(buf_span(&text), TLS_SERVER));
	buf_truncate(&text, 10);
	CHECK(!signed_text_is_tls(buf_span(&text), TLS_CLIENT));
	CHECK(!signed_text_is_tls(SPAN("a letter to the bank"), TLS_CLIENT));
	CHECK(!signed_text_is_tls(SPAN(""), TLS_SERVER));
	buf_done(&text);
}

/* ---- certificates ---- */

/* What the tests themselves stand on is there, or they end. */
static void need(const void *made)
{
	if (made == NULL)
		fatal("out of memory");
}

static EVP_PKEY *make_key(const char *kind)
{
	EVP_PKEY *made;

	if (strcmp(kind, "RSA") == 0)
		made = EVP_RSA_gen(2048);
	else if (strcmp(kind, "EC") == 0)
		made = EVP_EC_gen("P-256");
	else
		made = EVP_PKEY_Q_keygen(NULL, NULL, kind);
	need(made);
	return made;
}

static X509 *make_certificate(EVP_PKEY *key, EVP_PKEY *signer, const char *cn, const char *issuer,
			      long from_s, long to_s)
{
	X509 *made = X509_new();
	X509_NAME *name;

	need(made);
	name = X509_get_subject_name(made);
	(void)X509_set_version(made, X509_VERSION_3);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(made), 7);
	(void)X509_gmtime_adj(X509_getm_notBefore(made), from_s);
	(void)X509_gmtime_adj(X509_getm_notAfter(made), to_s);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1,
					 -1, 0);
	name = X509_NAME_new();
	need(name);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)issuer,
					 -1, -1, 0);
	(void)X509_set_issuer_name(made, name);
	X509_NAME_free(name);
	(void)X509_set_pubkey(made, key);
	(void)X509_sign(made, signer, EVP_PKEY_is_a(signer, "ED25519") ? NULL : EVP_sha256());
	return made;
}

static void put_pem(struct buf *out, EVP_PKEY *key, X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;
	long size;

	need(bio);
	if (key != NULL)
		(void)PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	if (certificate != NULL)
		(void)PEM_write_bio_X509(bio, certificate);
	size = BIO_get_mem_data(bio, &bytes);
	(void)buf_append(out, bytes, (size_t)size);
	BIO_free(bio);
}

/* Key and certificate of `kind` for mail.example, self-signed, as PEM. */
static struct buf make_pem(const char *kind)
{
	EVP_PKEY *key = make_key(kind);
	X509 *certificate = make_certificate(key, key, "mail.example", "mail.example", -60, 86400);
	struct buf pem = BUF_INIT(100000);

	put_pem(&pem, key, certificate);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return pem;
}

static bool is_usable(struct span pem, bool is_list, const char *reason)
{
	struct buf error = BUF_INIT(1000);
	struct tls_chains *chains = tls_chains_parse(pem, is_list, &error);
	bool is_good = chains != NULL &&
		       tls_chains_check(chains, (int64_t)time(NULL), &error) == TLS_CHECK_GOOD;

	if (strstr(buf_str(&error), reason) == NULL)
		printf("# \"%s\" is not \"%s\"\n", buf_str(&error), reason);
	CHECK(strstr(buf_str(&error), reason) != NULL);
	tls_chains_free(chains);
	buf_done(&error);
	return is_good;
}

static void test_chains(void)
{
	EVP_PKEY *key = make_key("EC"), *other = make_key("EC"), *ca = make_key("EC");
	X509 *own = make_certificate(key, ca, "mail.example", "CA", -60, 86400);
	X509 *root = make_certificate(ca, ca, "CA", "CA", -60, 86400);
	X509 *old = make_certificate(key, ca, "mail.example", "CA", -7200, -3600);
	X509 *future = make_certificate(key, ca, "mail.example", "CA", 3600, 7200);
	const struct {
		EVP_PKEY *key;
		X509 *certificate, *chain;
		const char *reason; /* "": good */
	} rows[] = {
		{ key, own, NULL, "" },
		{ key, own, root, "" },
		{ other, own, NULL, "does not fit" },
		{ key, old, NULL, "has expired" },
		{ key, future, NULL, "not valid yet" },
		{ ca, root, own, "out of order" },
		{ NULL, own, NULL, "no private key" },
		{ key, NULL, NULL, "no certificate" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf pem = BUF_INIT(100000);

		put_pem(&pem, rows[i].key, rows[i].certificate);
		put_pem(&pem, NULL, rows[i].chain);
		CHECK_INT(is_usable(buf_span(&pem), false, rows[i].reason), *rows[i].reason == '\0');
		buf_done(&pem);
	}

	struct buf pem = BUF_INIT(100000);

	put_pem(&pem, NULL, own);
	put_pem(&pem, key, NULL);
	CHECK(is_usable(buf_span(&pem), false, ""));
	CHECK(!is_usable(buf_span(&pem), true, "before its key"));
	buf_truncate(&pem, pem.length / 2);
	CHECK(!is_usable(buf_span(&pem), false, ""));
	CHECK(!is_usable(SPAN(""), false, "no private key and no certificate"));
	buf_done(&pem);
	X509_free(own);
	X509_free(root);
	X509_free(old);
	X509_free(future);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	EVP_PKEY_free(ca);
}

/* ---- handshakes ---- */

/* Stands for keysign: the keys, and what was last signed. */
static struct {
	struct tls_chains *keys;
	struct buf signature;
	int signed_count, refused_count;
} vault = { .signature = BUF_INIT(4000) };

static bool sign(void *context, struct span id, enum tls_padding padding, const char *digest,
		 struct span text, struct span *ret_signature)
{
	struct buf error = BUF_INIT(1000);
	bool is_good;

	(void)context;
	buf_reset(&vault.signature);
	if (!signed_text_is_tls(text, TLS_SERVER)) {
		vault.refused_count++;
		return false;
	}
	is_good = tls_chains_sign(vault.keys, id, padding, digest, text, &vault.signature,
				  &error);
	vault.signed_count += is_good;
	*ret_signature = buf_span(&vault.signature);
	buf_done(&error);
	return is_good;
}

static const struct tls_signer signer = { sign, NULL };

static struct tls_settings server_settings(void)
{
	return (struct tls_settings){
		.role = TLS_SERVER, .limits = { ">=TLSv1.2", "medium", NULL, NULL },
		.verify_depth = 9, .fingerprint_digest = "sha256",
		.session_scope = "smtp", .session_timeout_s = 3600,
	};
}

/* The other end, in a process of its own: sends "hello", and exits with 0 when it comes back. */
static void run_client(int fd, const char *protocols)
{
	struct tls_settings settings = { .role = TLS_CLIENT, .limits = { protocols, "medium", NULL,
									 NULL },
					 .verify_depth = 9,
					 .fingerprint_digest = "sha256" };
	struct buf error = BUF_INIT(1000);
	struct tls_context *context = tls_context_new(&settings, NULL, &error);
	struct tls_options options = { .server_name = "mail.example" };
	struct tls *tls = context != NULL ? tls_new(context, &options, &error) : NULL;
	struct stream stream;
	struct span line, names[] = { SPAN("mail.example") };
	bool is_good;

	stream_open(&stream, fd);
	stream_set_deadline(&stream, clock_in_ms(5000));
	is_good = tls != NULL && tls_start(tls, &stream, &error) && tls_info(tls)->has_peer &&
		  !tls_info(tls)->is_trusted && tls_peer_matches(tls, names, 1, false);
	stream_printf(&stream, "hello\r\n");
	is_good = is_good && stream_line(&stream, 100, &line, NULL) == IO_OK && span_is(line, "hello");
	stream_close(&stream);
	tls_context_free(context);
	buf_done(&error);
	_exit(is_good ? 0 : 1);
}

static bool serve(int fd, struct tls_context *context, const char *summary)
{
	struct buf error = BUF_INIT(1000), text = BUF_INIT(1000);
	struct tls *tls = tls_new(context, NULL, &error);
	struct stream stream;
	struct span line;
	bool is_good;

	stream_open(&stream, fd);
	stream_set_deadline(&stream, clock_in_ms(5000));
	is_good = tls_start(tls, &stream, &error);
	if (is_good) {
		tls_summary(tls, "", &text);
		if (strstr(buf_str(&text), summary) == NULL)
			printf("# %s\n", buf_str(&text));
		is_good = strstr(buf_str(&text), summary) != NULL;
		CHECK_STR(tls_info(tls)->server_name, "mail.example");
		is_good = stream_line(&stream, 100, &line, NULL) == IO_OK && is_good;
		stream_printf(&stream, "%.*s\r\n", SPAN_ARG(line));
		(void)stream_flush(&stream);
	} else {
		printf("# %s\n", buf_str(&error));
	}
	stream_close(&stream);
	buf_done(&error);
	buf_done(&text);
	return is_good;
}

/* A whole session, with a key that the server does not have. */
static void try_session(const char *kind, const char *protocols, const char *summary)
{
	struct buf pem = make_pem(kind), error = BUF_INIT(1000), records = BUF_INIT(200000);
	struct tls_settings settings = server_settings();
	struct tls_chains *remote;
	struct tls_context *context;
	int pair[2], status = -1;
	pid_t child;

	vault.keys = tls_chains_parse(buf_span(&pem), true, &error);
	vault.signed_count = vault.refused_count = 0;
	CHECK(vault.keys != NULL && tls_chains_encode(vault.keys, &records));
	remote = tls_chains_decode(buf_span(&records), &signer);
	CHECK(remote != NULL);
	context = remote != NULL ? tls_context_new(&settings, remote, &error) : NULL;
	CHECK_STR(buf_str(&error), "");
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	child = fork();
	if (child == 0) {
		(void)close(pair[0]);
		run_client(pair[1], protocols);
	}
	(void)close(pair[1]);
	if (context != NULL)
		CHECK(serve(pair[0], context, summary));
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_INT(status, 0);
	CHECK_INT(vault.signed_count, 1);
	CHECK_INT(vault.refused_count, 0);
	tls_context_free(context);
	tls_chains_free(remote);
	tls_chains_free(vault.keys);
	buf_done(&pem);
	buf_done(&records);
	buf_done(&error);
}

static void test_sessions(void)
{
	try_session("RSA", "TLSv1.3", "server-signature RSA-PSS (2048 bits) server-digest SHA256");
	try_session("RSA", "TLSv1.2", "TLSv1.2 with cipher ECDHE-RSA-");
	try_session("EC", "TLSv1.3", "server-signature ECDSA (prime256v1) server-digest SHA256");
	try_session("EC", "TLSv1.2", "TLSv1.2 with cipher ECDHE-ECDSA-");
	try_session("ED25519", "TLSv1.3", "server-signature ED25519");
}

/*
 * A client that is slow to say goodbye: it hears the other's, and after a moment puts a byte into `told`
 * and answers; or with `told` -1 it never does.
 */
static void run_slow_client(int fd, int told)
{
	static const struct timespec moment = { .tv_nsec = 100 * 1000000L };
	struct tls_settings settings = { .role = TLS_CLIENT, .limits = { "", "medium", NULL, NULL },
					 .verify_depth = 9, .fingerprint_digest = "sha256" };
	struct buf error = BUF_INIT(1000);
	struct tls_context *context = tls_context_new(&settings, NULL, &error);
	struct tls_options options = { 0 };
	struct tls *tls = context != NULL ? tls_new(context, &options, &error) : NULL;
	struct stream stream;
	struct span line;

	stream_open(&stream, fd);
	stream_set_deadline(&stream, clock_in_ms(5000));
	if (tls == NULL || !tls_start(tls, &stream, &error) ||
	    stream_line(&stream, 100, &line, NULL) != IO_EOF)
		_exit(1);
	if (told < 0)
		for (;;)
			(void)pause();
	(void)nanosleep(&moment, NULL);
	if (write(told, "x", 1) != 1)
		_exit(1);
	stream_close(&stream);
	_exit(0);
}

/* How long the server's goodbye takes, whose stream has 300 ms left; *ret_was_told: it was answered. */
static int64_t try_goodbye(struct tls_context *context, bool is_fast, bool is_answered,
			   bool *ret_was_told)
{
	struct buf error = BUF_INIT(1000);
	struct tls *tls = tls_new(context, NULL, &error);
	struct pollfd told = { .events = POLLIN };
	struct stream stream;
	struct clock_mono start;
	int pair[2], ends[2], status;
	int64_t took_us;
	pid_t child;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	child = fork();
	if (child == 0) {
		(void)close(pair[0]);
		run_slow_client(pair[1], is_answered ? ends[1] : -1);
	}
	(void)close(pair[1]);
	stream_open(&stream, pair[0]);
	stream_set_deadline(&stream, clock_in_ms(5000));
	CHECK(tls != NULL && tls_start(tls, &stream, &error));
	values.tls_fast_shutdown_enable = is_fast;
	stream_set_deadline(&stream, clock_in_ms(300));
	start = clock_mono_now();
	stream_close(&stream);
	took_us = clock_mono_now().us - start.us;
	values.tls_fast_shutdown_enable = true;
	told.fd = ends[0];
	*ret_was_told = poll(&told, 1, 0) == 1;
	(void)kill(child, is_answered ? 0 : SIGKILL);
	CHECK(waitpid(child, &status, 0) == child);
	(void)close(ends[0]);
	(void)close(ends[1]);
	buf_done(&error);
	return took_us / 1000;
}

static void test_goodbye(void)
{
	struct buf pem = make_pem("EC"), error = BUF_INIT(1000);
	struct tls_settings settings = server_settings();
	struct tls_chains *chains = tls_chains_parse(buf_span(&pem), true, &error);
	struct tls_context *context = tls_context_new(&settings, chains, &error);
	int64_t took_ms;
	bool was_told;

	CHECK(context != NULL);
	need(context);
	(void)try_goodbye(context, true, true, &was_told);
	CHECK(!was_told);
	(void)try_goodbye(context, false, true, &was_told);
	CHECK(was_told);
	/* One that never answers is not waited for beyond the deadline. */
	took_ms = try_goodbye(context, false, false, &was_told);
	CHECK(took_ms >= 250 && took_ms < 3000);
	CHECK(!was_told);
	tls_context_free(context);
	tls_chains_free(chains);
	buf_done(&pem);
	buf_done(&error);
}

int main(void)
{
	struct buf error = BUF_INIT(1000);

	conf = &values;
	(void)signal(SIGPIPE, SIG_IGN);
	if (!tls_library_open(&error)) {
		printf("not ok library: %s\n", buf_str(&error));
		return 1;
	}
	TEST(versions);
	TEST(ciphers);
	TEST(names);
	TEST(file_names);
	TEST(signed_text);
	TEST(chains);
	TEST(sessions);
	TEST(goodbye);
	buf_done(&vault.signature);
	return test_end();
}
