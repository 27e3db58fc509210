/* SPDX-License-Identifier: MIT */
/*
 * HTTPS for policyfetch; see https.h. Runs in its workers, in their jail. The server is trusted in
 * nothing until its certificate was checked, and in no size or time afterwards. RFC 9110, 9112.
 */

#include "services/policyfetch/https.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/ip.h"
#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"
#include "mail/domain.h"
#include "net/dns.h"
#include "tls/tls.h"

enum { AUTHORITIES_MAX = 8 * 1024 * 1024, ADDRESSES_MAX = 16 };

static struct buf authorities = BUF_INIT(AUTHORITIES_MAX); /* PEM */

void https_prepare(void)
{
	struct buf error = BUF_INIT(4000);
	struct tls_files *files;
	struct span rest, line;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		fatal("libcurl cannot be used");
	files = tls_files_open_web(conf->smtp_tls_CAfile, conf->smtp_tls_CApath,
				   conf->tls_append_default_CA, &error);
	rest = buf_span(&error);
	while (span_line(&rest, &line))
		log_warn("cannot load %s", log_clean(line));
	/* Whoever asks is told when there is none. */
	(void)!tls_files_pem(files, &authorities);
	tls_files_close(files);
	buf_done(&error);
}

/* ---- where to ---- */

struct place {
	char host[DOMAIN_NAME_MAX + 1];
	char port[8];
};

static bool take_part(CURLU *url, CURLUPart part, unsigned flags, char *out, size_t size)
{
	char *text = NULL;
	bool is_good = curl_url_get(url, part, &text, flags) == CURLUE_OK && strlen(text) < size;

	if (is_good)
		memcpy(out, text, strlen(text) + 1);
	curl_free(text);
	return is_good;
}

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool is_there = curl_url_get(url, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return is_there;
}

/* Only what is plainly the URL of a named server. */
static bool find_place(const char *text, struct place *ret)
{
	CURLU *url = curl_url();
	char scheme[8];
	struct ip_addr addr;
	bool is_good = url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
		       take_part(url, CURLUPART_SCHEME, 0, scheme, sizeof(scheme)) &&
		       strcmp(scheme, "https") == 0 && !has_part(url, CURLUPART_USER) &&
		       !has_part(url, CURLUPART_PASSWORD) && !has_part(url, CURLUPART_FRAGMENT) &&
		       take_part(url, CURLUPART_HOST, 0, ret->host, sizeof(ret->host)) &&
		       take_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, ret->port,
				 sizeof(ret->port));

	curl_url_cleanup(url);
	return is_good && domain_check_name(span_of(ret->host), false) == DOMAIN_OK &&
	       !ip_parse(span_of(ret->host), &addr);
}

/* Adds the addresses of one family to "host:port:a,b"; false: the DNS could not say. */
static bool add_addresses(const struct place *place, enum dns_type type, struct clock_mono deadline,
			  struct buf *out, size_t *count, struct https_answer *ret)
{
	struct dns_result result = { 0 };
	enum dns_status status = dns_lookup(span_of(place->host), type, 0, deadline, &result);
	struct ip_addr addr;

	for (size_t i = 0; i < result.count && *count < ADDRESSES_MAX; i++) {
		if (!ip_parse(result.records[i].host, &addr))
			continue;
		(void)buf_printf(out, addr.family == IP_V6 ? "%s[%.*s]" : "%s%.*s",
				 (*count)++ > 0 ? "," : "", SPAN_ARG(result.records[i].host));
	}
	if (status != DNS_FOUND)
		(void)snprintf(ret->reason, sizeof(ret->reason), "%s", log_clean_str(result.reason));
	dns_result_done(&result);
	return status != DNS_TEMPORARY;
}

/* The line for libcurl that says where the server is: it never asks anybody else. */
static bool resolve(const struct place *place, struct clock_mono deadline, struct buf *out,
		    struct https_answer *ret)
{
	struct span protocols = span_of(conf->inet_protocols);
	bool is_any = words_have(protocols, SPAN("all"));
	size_t count = 0;

	(void)buf_printf(out, "%s:%s:", place->host, place->port);
	if (is_any || words_have(protocols, SPAN("ipv6")))
		(void)add_addresses(place, DNS_AAAA, deadline, out, &count, ret);
	if (is_any || words_have(protocols, SPAN("ipv4")))
		(void)add_addresses(place, DNS_A, deadline, out, &count, ret);
	return count > 0;
}

/* ---- the request ---- */

struct taking {
	struct https_answer *answer;
	bool is_too_large;
};

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct taking *taking = context;

	/* `size` is 1, says libcurl. */
	if (buf_append(&taking->answer->body, data, size * count))
		return size * count;
	taking->is_too_large = true;
	return 0;
}

/* What holds for every request. */
static bool set_common(CURL *curl, const struct https_request *request, int left_ms)
{
	struct curl_blob blob = { buf_span(&authorities).n > 0 ? authorities.data : NULL,
				  authorities.length, CURL_BLOB_NOCOPY };

	return curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CAINFO, NULL) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)request->limit_bytes) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)left_ms) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK;
}

static struct curl_slist *make_headers(const struct https_request *request)
{
	struct curl_slist *list = NULL;
	char type[160];

	for (size_t i = 0; i < HTTPS_HEADERS_MAX && request->headers[i] != NULL; i++)
		list = curl_slist_append(list, request->headers[i]);
	if (request->content_type == NULL)
		return list;
	(void)snprintf(type, sizeof(type), "Content-Type: %s", request->content_type);
	/* No waiting for "100 Continue". */
	return curl_slist_append(curl_slist_append(list, type), "Expect:");
}

static bool set_post(CURL *curl, const struct https_request *request)
{
	return request->content_type == NULL ||
	       (curl_easy_setopt(curl, CURLOPT_POST, 1L) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->body.n) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
				 request->body.n > 0 ? request->body.p : "") == CURLE_OK);
}

/* ---- the answer ---- */

static void fail(struct https_answer *ret, enum https_status status, const char *reason)
{
	ret->status = status;
	buf_reset(&ret->body);
	(void)snprintf(ret->reason, sizeof(ret->reason), "%s", log_clean_str(reason));
}

static enum https_status status_of(CURLcode code)
{
	switch ((int)code) {
	case CURLE_OK: return HTTPS_ANSWERED;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR: return HTTPS_CERTIFICATE;
	case CURLE_FILESIZE_EXCEEDED: return HTTPS_TOO_LARGE;
	case CURLE_OPERATION_TIMEDOUT: return HTTPS_TIMEOUT;
	default: return HTTPS_NO_SERVER;
	}
}

static void take_answer(CURL *curl, struct https_answer *ret)
{
	long code = 0;
	const char *type = NULL;

	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
	(void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	ret->status = HTTPS_ANSWERED;
	ret->code = (int)code;
	(void)snprintf(ret->content_type, sizeof(ret->content_type), "%s",
		       type != NULL ? log_clean_str(type) : "");
	ret->reason[0] = '\0';
}

static void perform(CURL *curl, const struct https_request *request, struct https_answer *ret)
{
	struct taking taking = { .answer = ret };
	char error[CURL_ERROR_SIZE] = "";
	CURLcode code;

	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &taking);
	code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		take_answer(curl, ret);
	else if (taking.is_too_large || code == CURLE_FILESIZE_EXCEEDED)
		(void)snprintf(error, sizeof(error), "the answer is larger than %zu bytes",
			       request->limit_bytes);
	if (code != CURLE_OK)
		fail(ret, taking.is_too_large ? HTTPS_TOO_LARGE : status_of(code),
		     *error != '\0' ? error : curl_easy_strerror(code));
}

static void ask(const char *url, const struct https_request *request, const char *address,
		struct https_answer *ret)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *addresses = curl_slist_append(NULL, address);
	struct curl_slist *headers = make_headers(request);
	int left_ms = clock_poll_ms(request->deadline);

	if (left_ms == 0)
		fail(ret, HTTPS_TIMEOUT, "no time is left");
	else if (curl != NULL && addresses != NULL &&
		 set_common(curl, request, left_ms < 0 ? 0 : left_ms) && set_post(curl, request) &&
		 curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
		 curl_easy_setopt(curl, CURLOPT_RESOLVE, addresses) == CURLE_OK &&
		 curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK)
		perform(curl, request, ret);
	else
		fail(ret, HTTPS_NO_SERVER, "libcurl does not know an option");
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	curl_slist_free_all(addresses);
}

void https_do(const struct https_request *request, struct https_answer *ret)
{
	struct buf url = BUF_INIT(HTTPS_URL_MAX), address = BUF_INIT(4096);
	struct place place;

	*ret = (struct https_answer){ .status = HTTPS_NO_HOST };
	buf_init(&ret->body, request->limit_bytes);
	if (span_has(request->url, '\0') || !buf_add(&url, request->url) ||
	    !find_place(buf_str(&url), &place))
		fail(ret, HTTPS_BAD_URL, "not the URL of an HTTPS server");
	else if (authorities.length == 0)
		fail(ret, HTTPS_CERTIFICATE, "no authority is known that could vouch for the server");
	else if (resolve(&place, request->deadline, &address, ret))
		ask(buf_str(&url), request, buf_str(&address), ret);
	buf_done(&url);
	buf_done(&address);
}

void https_answer_done(struct https_answer *answer)
{
	if (answer->body.data != NULL)
		explicit_bzero(answer->body.data, answer->body.capacity);
	buf_done(&answer->body);
}

bool https_has_type(const struct https_answer *answer, const char *wanted)
{
	struct span type = span_of(answer->content_type), rest;

	(void)span_cut(type, ';', &type, &rest);
	return span_is_nocase(span_trim(type), wanted);
}
