/* SPDX-License-Identifier: MIT */
/* services/policyfetch/https.h against a server on loopback; the DNS is a table here. */

#include "test.h"

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/load.h"
#include "net/dns.h"
#include "services/policyfetch/https.h"

enum dns_status dns_lookup(struct span name, enum dns_type type, unsigned flags,
			   struct clock_mono deadline, struct dns_result *ret)
{
	static struct msg_dns_record record;
	bool is_known = type == DNS_A && (span_is(name, "good.test") || span_is(name, "other.test"));

	record.host = SPAN("127.0.0.1");
	(void)flags;
	(void)deadline;
	*ret = (struct dns_result){ .status = is_known ? DNS_FOUND : DNS_NO_NAME };
	ret->records = &record;
	ret->count = is_known ? 1 : 0;
	if (!is_known)
		(void)snprintf(ret->reason, sizeof(ret->reason), "not found");
	return ret->status;
}

void dns_result_done(struct dns_result *result)
{
	*result = (struct dns_result){ 0 };
}

/* ---- the server ---- */

static struct {
	EVP_PKEY *key;
	X509 *certificate;
	int listener, requests; /* a pipe with what it was asked */
	unsigned port;
	pid_t pid;
} server;

static void make_certificate(const char *path)
{
	char names[] = "DNS:good.test", serial[] = "1";
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	X509_NAME *name = X509_NAME_new();
	ASN1_INTEGER *number = s2i_ASN1_INTEGER(NULL, serial);
	FILE *file = fopen(path, "w");

	server.key = EVP_EC_gen("P-256");
	server.certificate = X509_new();
	CHECK(X509_set_version(server.certificate, 2) && X509_set_serialNumber(server.certificate, number));
	X509_gmtime_adj(X509_getm_notBefore(server.certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(server.certificate), 3600);
	CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"A", 1, -1, 0));
	CHECK(X509_set_subject_name(server.certificate, name) &&
	      X509_set_issuer_name(server.certificate, name));
	CHECK(X509_set_pubkey(server.certificate, server.key));
	CHECK(X509_add_ext(server.certificate, extension, -1));
	CHECK(X509_sign(server.certificate, server.key, EVP_sha256()));
	CHECK(file != NULL && PEM_write_X509(file, server.certificate));
	(void)fclose(file);
	X509_EXTENSION_free(extension);
	X509_NAME_free(name);
	ASN1_INTEGER_free(number);
}

/* Reads a request up to the end of its body, which ends with "END" when it is not empty. */
static void answer(SSL *ssl, int pipe_fd)
{
	char request[8192];
	size_t length = 0;
	int got;
	const char *text = "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nContent-Type: x/y\r\n\r\nno\n";

	while (length < sizeof(request) - 1 &&
	       (got = SSL_read(ssl, request + length, (int)(sizeof(request) - 1 - length))) > 0) {
		length += (size_t)got;
		request[length] = '\0';
		if (strncmp(request, "GET", 3) == 0 ? strstr(request, "\r\n\r\n") != NULL
						    : memmem(request, length, "END", 3) != NULL)
			break;
	}
	request[length] = '\0';
	if (strstr(request, " /good") != NULL)
		text = "HTTP/1.1 200 OK\r\nContent-Type: Text/Plain ; charset=utf-8\r\n"
		       "Content-Length: 5\r\n\r\nhello";
	else if (strstr(request, " /moved") != NULL)
		text = "HTTP/1.1 302 Found\r\nLocation: /good\r\nContent-Length: 0\r\n\r\n";
	else if (strstr(request, " /large") != NULL)
		text = "HTTP/1.1 200 OK\r\n\r\n0123456789012345678901234567890123456789";
	else if (strstr(request, " /garbage") != NULL)
		text = "nonsense\r\n\r\n";
	if (strstr(request, " /silent") != NULL)
		(void)sleep(5);
	if (write(pipe_fd, request, length + 1) < 0 || SSL_write(ssl, text, (int)strlen(text)) <= 0)
		_exit(1);
}

static void serve(int pipe_fd)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	(void)SSL_CTX_use_certificate(context, server.certificate);
	(void)SSL_CTX_use_PrivateKey(context, server.key);
	for (;;) {
		int fd = accept(server.listener, NULL, NULL);
		SSL *ssl = SSL_new(context);

		(void)SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1) {
			answer(ssl, pipe_fd);
			(void)SSL_shutdown(ssl);
		}
		SSL_free(ssl);
		(void)close(fd);
	}
}

static void start_server(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);
	int fds[2];

	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(server.listener, (struct sockaddr *)&address, size) == 0);
	CHECK(listen(server.listener, 10) == 0 && pipe(fds) == 0);
	CHECK(getsockname(server.listener, (struct sockaddr *)&address, &size) == 0);
	server.port = ntohs(address.sin_port);
	server.pid = fork();
	if (server.pid == 0) {
		/* Whatever becomes of this process, the server does not outlive it. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fds[1]);
	}
	(void)close(fds[1]);
	server.requests = fds[0];
}

/* ---- cases ---- */

static void ask(const char *host, const char *path, struct https_request *request,
		struct https_answer *ret)
{
	char *url = mem_printf("https://%s:%u%s", host, server.port, path);

	request->url = span_of(url);
	request->limit_bytes = 30;
	if (request->deadline.us == 0)
		request->deadline = clock_in_ms(10000);
	https_do(request, ret);
	free(url);
}

static void test_get(void)
{
	struct https_request request = { .headers = { "X-One: 1", "X-Two: 2", NULL } };
	struct https_answer got;
	char seen[8192] = "";

	ask("good.test", "/good?a=b", &request, &got);
	CHECK_STR(got.reason, "");
	CHECK_INT(got.status, HTTPS_ANSWERED);
	CHECK_INT(got.code, 200);
	CHECK_SPAN(buf_span(&got.body), "hello");
	CHECK(https_has_type(&got, "text/plain"));
	CHECK(!https_has_type(&got, "text"));
	https_answer_done(&got);
	CHECK(read(server.requests, seen, sizeof(seen) - 1) > 0);
	CHECK(strncmp(seen, "GET /good?a=b HTTP/1.1\r\nHost: good.test:", 40) == 0);
	CHECK(strstr(seen, "\r\nX-One: 1\r\nX-Two: 2\r\n") != NULL);
}

static void test_post(void)
{
	static const char body[] = "a=1\0&b=END";
	struct https_request request = { .content_type = "application/x-www-form-urlencoded",
					 .body = { body, sizeof(body) - 1 },
					 .headers = { "Authorization: Basic eDp5" } };
	struct https_answer got;
	char seen[8192] = "";
	ssize_t size;

	ask("good.test", "/good", &request, &got);
	CHECK_INT(got.status, HTTPS_ANSWERED);
	CHECK_INT(got.code, 200);
	https_answer_done(&got);
	size = read(server.requests, seen, sizeof(seen) - 1);
	CHECK(size > 20 && memcmp(seen + size - 11, "a=1\0&b=END", 10) == 0);
	CHECK(strncmp(seen, "POST /good HTTP/1.1\r\n", 21) == 0);
	CHECK(strstr(seen, "\r\nContent-Type: application/x-www-form-urlencoded\r\n") != NULL);
	CHECK(strstr(seen, "\r\nContent-Length: 10\r\n") != NULL);
	CHECK(strstr(seen, "\r\nAuthorization: Basic eDp5\r\n") != NULL);
	CHECK(strstr(seen, "Expect") == NULL);
}

static void test_answers(void)
{
	static const struct {
		const char *host, *path;
		enum https_status status;
		int code;
	} cases[] = {
		{ "good.test", "/nothing", HTTPS_ANSWERED, 404 },
		{ "good.test", "/moved", HTTPS_ANSWERED, 302 },
		{ "good.test", "/large", HTTPS_TOO_LARGE, 0 },
		{ "good.test", "/garbage", HTTPS_NO_SERVER, 0 },
		{ "other.test", "/good", HTTPS_CERTIFICATE, 0 },
		{ "nobody.test", "/good", HTTPS_NO_HOST, 0 },
		{ "127.0.0.1", "/good", HTTPS_BAD_URL, 0 },
		{ "x:y@good.test", "/good", HTTPS_BAD_URL, 0 },
		{ "good.test", "/good#x", HTTPS_BAD_URL, 0 },
	};
	char seen[8192];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct https_request request = { 0 };
		struct https_answer got;

		ask(cases[i].host, cases[i].path, &request, &got);
		CHECK_INT(got.status, cases[i].status);
		CHECK_INT(got.code, cases[i].code);
		CHECK((got.status == HTTPS_ANSWERED) == (got.reason[0] == '\0'));
		CHECK(got.status == HTTPS_ANSWERED || got.body.length == 0);
		https_answer_done(&got);
		if (cases[i].status == HTTPS_ANSWERED || cases[i].status == HTTPS_TOO_LARGE ||
		    cases[i].status == HTTPS_NO_SERVER)
			CHECK(read(server.requests, seen, sizeof(seen)) > 0);
	}
}

static void test_urls(void)
{
	static const char *const urls[] = { "", "good.test", "http://good.test/", "ftp://good.test/x",
					    "https://", "https://[::1]/",
					    "file:///etc/passwd", "https://good test/",
					    "https://good.test:99999/", "https://..test/" };

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct https_request request = { .url = span_of(urls[i]), .limit_bytes = 30,
						 .deadline = clock_in_ms(1000) };
		struct https_answer got;

		https_do(&request, &got);
		CHECK_STR(got.status == HTTPS_BAD_URL ? urls[i] : "asked", urls[i]);
		https_answer_done(&got);
	}
}

static void test_time(void)
{
	struct https_request request = { .deadline = clock_in_ms(300) };
	struct https_answer got;

	ask("good.test", "/silent", &request, &got);
	CHECK_INT(got.status, HTTPS_TIMEOUT);
	https_answer_done(&got);
	ask("good.test", "/good", &request, &got);
	CHECK_INT(got.status, HTTPS_TIMEOUT);
	https_answer_done(&got);
}

/* Where memory has run out, each request may wait for its whole time: that is enough of it. */
static void on_too_long(int signal_number)
{
	(void)signal_number;
	_exit(1);
}

int main(void)
{
	char path[] = "/tmp/https_test.XXXXXX";
	int fd = mkstemp(path);
	char *text = mem_printf("smtp_tls_CAfile = %s\n", path);
	bool is_loaded = fd >= 0 && conf_load_text(span_of(text));

	free(text);
	if (!is_loaded)
		return 2;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_too_long }, NULL);
	(void)alarm(20);
	make_certificate(path);
	start_server();
	https_prepare();
	TEST(get);
	TEST(post);
	TEST(answers);
	TEST(urls);
	TEST(time);
	(void)kill(server.pid, SIGKILL);
	(void)waitpid(server.pid, NULL, 0);
	(void)unlink(path);
	return test_end();
}
