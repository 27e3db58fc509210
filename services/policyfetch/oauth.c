/* SPDX-License-Identifier: MIT */
/*
 * token_query: an OAuth 2.0 access token for smtp, made with the refresh token of an account of
 * smtp_sasl_oauth_file (RFC 6749 6) and kept until shortly before it expires. Runs in the workers of
 * the service "oauth" alone: those that fetch MTA-STS policies from anybody's servers never have the
 * secrets in their memory. No secret is ever logged.
 */

#include "services/policyfetch/policyfetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ipc/oauth.h"
#include "proc/service.h"
#include "sasl/oauth.h"
#include "services/policyfetch/https.h"
#include "services/policyfetch/locks.h"
#include "services/policyfetch/oauth_store.h"

enum {
	FILE_MAX = 1024 * 1024,
	ACCOUNTS_MAX = 100,
	FETCH_MS = 30 * 1000,
	LOCK_MS = 35 * 1000,
	ANSWER_BYTES_MAX = 64 * 1024,
	REASON_MAX = 900,
	SPARE_S = 60,        /* a token is renewed so long before it expires */
	DEFAULT_LIFE_S = 1800, /* of a token whose end was not said */
	AGAIN_S = 60,        /* so long after a failure, or a second refusal, the endpoint is left alone */
};

static struct {
	struct buf file;
	struct {
		struct oauth_account account;
		const char *problem; /* why it is of no use, or NULL */
		unsigned line;
		struct buf token;    /* of token_file */
	} accounts[ACCOUNTS_MAX];
	size_t count;
} self;

/* One query at work. */
struct work {
	struct ipc_channel *channel;  /* whose last packet holds `refused` */
	const struct oauth_account *account;
	struct span refused;
	struct msg_token_entry entry;
	struct buf wire;              /* which `entry` points into */
	struct oauth_answer answer;   /* likewise, behind a refresh */
	struct buf reason;            /* why there is no token */
	int64_t now_s;
	bool is_new;                  /* the token was made just now: it is given however short it lives */
};

/* ---- the files, as root ---- */

/* Secrets: the file is root's and nobody else reads it; what is not so is said, and used. */
static bool read_secrets(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	bool is_good;

	service_watch_file(path);
	if (fd < 0) {
		if (errno != ENOENT)
			log_warn("%s: %s", path, strerror(errno));
		return false;
	}
	if (fstat(fd, &st) == 0 && !service.is_single_uid && st.st_uid != 0)
		log_warn("%s: is not owned by root", path);
	if (fstat(fd, &st) == 0 && (st.st_mode & 077) != 0)
		log_warn("%s: holds secrets, and others than its owner may read or write it", path);
	is_good = buf_read(out, fd);
	if (!is_good)
		log_warn("%s: %s", path, strerror(errno));
	(void)close(fd);
	return is_good;
}

static bool is_known(struct span name)
{
	for (size_t i = 0; i < self.count; i++)
		if (span_eq(self.accounts[i].account.name, name))
			return true;
	return false;
}

static void add_account(const struct oauth_account *account, const char *problem, unsigned line)
{
	const char *path = conf->smtp_sasl_oauth_file;

	if (problem == NULL && is_known(account->name))
		problem = "the account is there twice";
	if (problem != NULL)
		log_warn("%s, line %u: %s", path, line, problem);
	if (self.count == ACCOUNTS_MAX) {
		log_warn("%s: only the first %d accounts are used", path, ACCOUNTS_MAX);
		return;
	}
	self.accounts[self.count].account = *account;
	self.accounts[self.count].problem = problem;
	self.accounts[self.count].line = line;
	buf_init(&self.accounts[self.count].token, OAUTH_TOKEN_MAX + 2);
	if (problem == NULL && account->token_file.n > 0) {
		char *token_file = mem_dup(account->token_file);

		(void)read_secrets(token_file, &self.accounts[self.count].token);
		free(token_file);
	}
	self.count++;
}

bool oauth_prepare(void)
{
	struct oauth_reader reader = { .line = 0 };
	struct oauth_account account;
	const char *problem;

	buf_init(&self.file, FILE_MAX);
	oauth_store_open();
	if (!read_secrets(conf->smtp_sasl_oauth_file, &self.file))
		return false;
	reader.rest = buf_span(&self.file);
	while (oauth_next(&reader, &account, &problem))
		add_account(&account, problem, reader.at);
	return self.count > 0;
}

void oauth_start(void)
{
	oauth_store_start();
}

/* ---- what is kept ---- */

static void load(struct work *work)
{
	work->now_s = clock_wall_now().us / 1000000;
	if (!oauth_store_get(work->account, &work->wire, &work->entry))
		work->entry = (struct msg_token_entry){ .made_s = 0 };
}

static bool is_lately(const struct work *work, int64_t then_s)
{
	return work->now_s >= then_s && work->now_s - then_s < AGAIN_S;
}

/* A token that was refused is made anew, but not every time: it may be the account that is not wanted. */
static bool has_token(const struct work *work)
{
	const struct msg_token_entry *entry = &work->entry;

	if (entry->access_token.n == 0 || work->now_s >= entry->until_s ||
	    work->now_s < entry->made_s - AGAIN_S)
		return false;
	return work->refused.n == 0 || !span_eq(work->refused, entry->access_token) ||
	       is_lately(work, entry->renewed_s);
}

/* ---- the endpoint ---- */

static void fail(struct work *work, const char *format, ...) PRINTF_LIKE(2, 3);
static void fail(struct work *work, const char *format, ...)
{
	struct buf text = BUF_INIT(REASON_MAX);
	va_list args;

	va_start(args, format);
	(void)buf_vprintf(&text, format, args);
	va_end(args);
	buf_reset(&work->reason);
	(void)buf_text(&work->reason, log_clean(buf_span(&text)));
	buf_done(&text);
	work->entry.failed_s = work->now_s;
	work->entry.reason = buf_span(&work->reason);
	log_warn("OAuth account %s: %s", log_clean(work->account->name), buf_str(&work->reason));
}

static void take_tokens(struct work *work)
{
	const struct oauth_answer *answer = &work->answer;
	int64_t life_s = answer->expires_s > 0 ? (int64_t)answer->expires_s : DEFAULT_LIFE_S;

	if (work->refused.n > 0 && span_eq(work->refused, work->entry.access_token))
		work->entry.renewed_s = work->now_s;
	work->entry.access_token = buf_span(&answer->access_token);
	work->entry.made_s = work->now_s;
	work->is_new = true;
	work->entry.until_s = work->now_s + (life_s > 2 * SPARE_S ? life_s - SPARE_S : life_s / 2);
	work->entry.failed_s = 0;
	work->entry.reason = SPAN("");
	if (answer->refresh_token.length > 0)
		work->entry.refresh_token = buf_span(&answer->refresh_token);
	log_info("OAuth account %s: new access token, for %lld seconds%s",
		 log_clean(work->account->name), (long long)life_s,
		 answer->refresh_token.length > 0 ? ", and a new refresh token" : "");
}

/* Who the endpoint is, without what a query might say. */
static const char *endpoint_of(const struct work *work)
{
	struct span url = work->account->endpoint, rest;

	(void)span_cut(url, '?', &url, &rest);
	return log_clean(url);
}

static void post(struct work *work, struct span body)
{
	struct https_request request = {
		.url = work->account->endpoint,
		.content_type = "application/x-www-form-urlencoded",
		.body = body,
		.headers = { "Accept: application/json", NULL },
		.limit_bytes = ANSWER_BYTES_MAX,
		.deadline = clock_in_ms(FETCH_MS),
	};
	struct https_answer answer;

	https_do(&request, &answer);
	if (answer.status != HTTPS_ANSWERED)
		fail(work, "cannot ask the token endpoint %s: %s", endpoint_of(work), answer.reason);
	else if (answer.code == 200 && oauth_answer_parse(&work->answer, buf_span(&answer.body)))
		take_tokens(work);
	else if (answer.code == 200 || !oauth_answer_parse(&work->answer, buf_span(&answer.body)))
		fail(work, "the token endpoint %s said: %d %s", endpoint_of(work), answer.code,
		     log_clean(buf_span(&work->answer.error)));
	else
		fail(work, "the token endpoint %s said: %d, with a token", endpoint_of(work),
		     answer.code);
	https_answer_done(&answer);
}

static void refresh(struct work *work)
{
	struct span token = work->entry.refresh_token.n > 0 ? work->entry.refresh_token
							    : work->account->refresh_token;
	struct buf body = BUF_INIT(8 * OAUTH_TOKEN_MAX);

	/* A new refresh token that could not be kept would lock us out. */
	if (!oauth_store_reserve(work->account))
		fail(work, "no room to keep a token: %s", strerror(errno));
	else if (!oauth_request(&body, work->account, token))
		fail(work, "the request for a token is too long");
	else
		post(work, buf_span(&body));
	(void)oauth_store_put(work->account, &work->entry);
	if (body.data != NULL)
		explicit_bzero(body.data, body.capacity);
	buf_done(&body);
}

/* Whoever comes first asks the endpoint; the others wait, and take what it got. */
static void refresh_once(struct work *work)
{
	if (!lock_take(work->account->name, clock_in_ms(LOCK_MS))) {
		fail(work, "another process is still asking the token endpoint");
		return;
	}
	load(work);
	if (!has_token(work) && !is_lately(work, work->entry.failed_s))
		refresh(work);
	lock_drop(work->account->name);
}

/* ---- the answer ---- */

/* Whoever asks may wait longer now than for a service that does not even run. */
static void say_wait(struct work *work)
{
	struct msg_token_wait wait = { .timeout_ms = OAUTH_FETCH_MS };

	/* A client that has gone is found out with the answer; the token is made all the same. */
	(void)!(IPC_SEND(work->channel, token_wait, &wait, -1, clock_in_ms(ANSWER_MS)) == IPC_OK);
}

static struct msg_token_answer find_token(struct work *work)
{
	struct msg_token_answer answer = { .until_s = 0 };

	load(work);
	if (!has_token(work)) {
		say_wait(work);
		refresh_once(work);
	}
	/* A token that was refused goes back when there is no other: the asker knows it. */
	if (work->entry.access_token.n > 0 && (work->is_new || work->now_s < work->entry.until_s)) {
		answer.token = work->entry.access_token;
		answer.until_s = work->entry.until_s;
	} else {
		answer.reason = work->entry.reason.n > 0 ? work->entry.reason
							 : SPAN("there is no access token");
	}
	return answer;
}

static struct msg_token_answer read_token(const struct buf *token)
{
	struct span text = span_trim(buf_span(token));

	if (oauth_is_token(text))
		return (struct msg_token_answer){ .token = text };
	return (struct msg_token_answer){ .reason = SPAN("its token_file has no token") };
}

static struct msg_token_answer answer_query(struct work *work, const struct msg_token_query *query)
{
	size_t i = 0;

	while (i < self.count && !span_eq(self.accounts[i].account.name, query->account))
		i++;
	if (i == self.count) {
		(void)buf_printf(&work->reason, "there is no such account in %s",
				 conf->smtp_sasl_oauth_file);
		return (struct msg_token_answer){ .reason = buf_span(&work->reason) };
	}
	if (self.accounts[i].problem != NULL) {
		(void)buf_printf(&work->reason, "%s, line %u: %s", conf->smtp_sasl_oauth_file,
				 self.accounts[i].line, self.accounts[i].problem);
		return (struct msg_token_answer){ .reason = buf_span(&work->reason) };
	}
	if (self.accounts[i].account.token_file.n > 0)
		return read_token(&self.accounts[i].token);
	work->account = &self.accounts[i].account;
	return find_token(work);
}

bool oauth_handle(struct ipc_channel *channel, const void *request)
{
	const struct msg_token_query *query = request;
	struct work work = { .channel = channel, .refused = query->refused, .wire = BUF_INIT(OAUTH_ENTRY_MAX),
			     .reason = BUF_INIT(REASON_MAX) };
	struct msg_token_answer answer;
	bool is_sent;

	oauth_answer_init(&work.answer);
	answer = answer_query(&work, query);
	is_sent = IPC_SEND(channel, token_answer, &answer, -1, clock_in_ms(ANSWER_MS)) == IPC_OK;
	oauth_answer_done(&work.answer);
	if (work.wire.data != NULL)
		explicit_bzero(work.wire.data, work.wire.capacity);
	buf_done(&work.wire);
	buf_done(&work.reason);
	return is_sent;
}
