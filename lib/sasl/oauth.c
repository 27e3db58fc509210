/* SPDX-License-Identifier: MIT */
/*
 * OAuth 2.0 token requests; see oauth.h. Runs in policyfetch. The file is the administrator's, the
 * answer that of a server whose certificate was good, and may be anything all the same.
 */

#include "sasl/oauth.h"

#include <string.h>

#include "base/json_read.h"

enum { ERROR_MAX = 600, EXPIRES_MAX_S = 10 * 365 * 86400 };

/* ---- the file ---- */

bool oauth_is_name(struct span name)
{
	if (name.n == 0 || name.n > OAUTH_NAME_MAX || !ascii_is_alnum(name.p[0]))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && !span_has(SPAN(".-_@"), name.p[i]))
			return false;
	return true;
}

static bool is_value(struct span value)
{
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7f)
			return false;
	return value.n > 0 && value.n <= OAUTH_TOKEN_MAX;
}

static struct span *member_of(struct oauth_account *account, struct span name)
{
	const struct {
		const char *name;
		struct span *member;
	} members[] = {
		{ "endpoint", &account->endpoint },
		{ "client_id", &account->client_id },
		{ "client_secret", &account->client_secret },
		{ "refresh_token", &account->refresh_token },
		{ "scope", &account->scope },
		{ "token_file", &account->token_file },
	};

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (span_is(name, members[i].name))
			return members[i].member;
	return NULL;
}

/* "name = value"; what is wrong with it, or NULL. */
static const char *take_setting(struct oauth_account *account, struct span line)
{
	struct span name, value, *member;

	if (!span_cut(line, '=', &name, &value))
		return "neither \"account NAME\" nor \"name = value\"";
	member = member_of(account, span_trim(name));
	value = span_trim(value);
	if (member == NULL)
		return "unknown name";
	if (member->n > 0)
		return "set twice";
	if (!is_value(value))
		return "no such value is possible";
	*member = value;
	return NULL;
}

/* "account NAME": the name, which may be anything; false: it is another line. */
static bool is_account(struct span line, struct span *ret_name)
{
	if (!span_is(span_word(&line, " \t"), "account") || span_has(line, '='))
		return false;
	*ret_name = span_trim(line);
	return true;
}

static const char *check(const struct oauth_account *account)
{
	if (!oauth_is_name(account->name))
		return "no name for an account";
	if (account->token_file.n > 0)
		return account->token_file.p[0] != '/' ? "token_file is no absolute path" : NULL;
	if (!span_starts(account->endpoint, SPAN("https://")))
		return "the account has no endpoint that begins with https://";
	if (account->client_id.n == 0)
		return "the account has no client_id";
	return account->refresh_token.n == 0 ? "the account has no refresh_token" : NULL;
}

bool oauth_next(struct oauth_reader *reader, struct oauth_account *ret_account,
		const char **ret_problem)
{
	struct oauth_account account = { .name = { NULL, 0 } };
	const char *problem = NULL;
	bool is_open = false;
	struct span before = reader->rest, line, name;

	while (span_line(&reader->rest, &line)) {
		line = span_trim(line);
		if (is_account(line, &name)) {
			if (is_open) { /* the next one */
				reader->rest = before;
				break;
			}
			is_open = true;
			account.name = name;
			reader->at = reader->line + 1;
		} else if (line.n > 0 && line.p[0] != '#') {
			problem = is_open ? take_setting(&account, line)
					  : "a line in front of the first account";
		}
		reader->line++;
		before = reader->rest;
		if (problem != NULL) {
			reader->at = reader->line;
			break;
		}
	}
	if (!is_open && problem == NULL)
		return false;
	*ret_account = account;
	*ret_problem = problem != NULL ? problem : check(&account);
	/* The lines of an account that is bad say nothing more. */
	while (problem != NULL && span_line(&reader->rest, &line) && !is_account(span_trim(line), &name)) {
		reader->line++;
		before = reader->rest;
	}
	if (problem != NULL)
		reader->rest = before;
	return true;
}

bool oauth_is_token(struct span token)
{
	for (size_t i = 0; i < token.n; i++)
		if ((unsigned char)token.p[i] <= 0x20 || (unsigned char)token.p[i] >= 0x7f)
			return false;
	return token.n > 0 && token.n <= OAUTH_TOKEN_MAX;
}

/* ---- the request ---- */

/* application/x-www-form-urlencoded: RFC 6749 appendix B. */
static bool put_encoded(struct buf *out, const char *name, struct span value)
{
	bool is_good = buf_printf(out, "%s%s=", out->length > 0 ? "&" : "", name);

	for (size_t i = 0; i < value.n && is_good; i++) {
		char c = value.p[i];

		if (ascii_is_alnum(c) || span_has(SPAN("-._*"), c))
			is_good = buf_char(out, c);
		else if (c == ' ')
			is_good = buf_char(out, '+');
		else
			is_good = buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
	}
	return is_good;
}

bool oauth_request(struct buf *out, const struct oauth_account *account, struct span refresh_token)
{
	return put_encoded(out, "grant_type", SPAN("refresh_token")) &&
	       put_encoded(out, "refresh_token", refresh_token) &&
	       put_encoded(out, "client_id", account->client_id) &&
	       (account->client_secret.n == 0 ||
		put_encoded(out, "client_secret", account->client_secret)) &&
	       (account->scope.n == 0 || put_encoded(out, "scope", account->scope));
}

/* ---- the answer ---- */

void oauth_answer_init(struct oauth_answer *answer)
{
	*answer = (struct oauth_answer){ .expires_s = 0 };
	buf_init(&answer->access_token, OAUTH_TOKEN_MAX);
	buf_init(&answer->refresh_token, OAUTH_TOKEN_MAX);
	buf_init(&answer->error, ERROR_MAX);
}

static void wipe(struct buf *secret)
{
	if (secret->data != NULL)
		explicit_bzero(secret->data, secret->capacity);
	buf_done(secret);
}

void oauth_answer_done(struct oauth_answer *answer)
{
	wipe(&answer->access_token);
	wipe(&answer->refresh_token);
	buf_done(&answer->error);
}

/* A member that is a string. False: there is none, or it is none. */
static bool take_text(struct span body, const char *name, struct buf *out)
{
	struct json_value value;

	buf_reset(out);
	return json_find(body, name, &value) && value.type == JSON_STRING &&
	       json_decode(out, value.raw) && out->length > 0;
}

/* RFC 6749 5.2, or what is wrong with the answer. */
static void take_error(struct oauth_answer *answer, struct span body, const char *problem)
{
	struct buf text = BUF_INIT(ERROR_MAX);

	if (take_text(body, "error", &text))
		problem = NULL;
	buf_reset(&answer->error);
	(void)buf_text(&answer->error, problem != NULL ? problem : buf_str(&text));
	if (problem == NULL && take_text(body, "error_description", &text))
		(void)buf_printf(&answer->error, ": %.300s", buf_str(&text));
	buf_done(&text);
}

/* A number, or one in quotes, as some have it. */
static uint64_t take_seconds(struct span body)
{
	struct json_value value;
	uint64_t seconds = 0;

	if (!json_find(body, "expires_in", &value) ||
	    (value.type != JSON_NUMBER && value.type != JSON_STRING) ||
	    !span_u64(value.raw, EXPIRES_MAX_S, &seconds))
		return 0;
	return seconds;
}

bool oauth_answer_parse(struct oauth_answer *answer, struct span body)
{
	struct buf type = BUF_INIT(64);
	const char *problem = NULL;
	struct json_value value;

	if (!json_is_object(body))
		problem = "the answer is not a JSON object";
	else if (json_find(body, "error", &value))
		problem = "an error";
	else if (!take_text(body, "access_token", &answer->access_token) ||
		 !oauth_is_token(buf_span(&answer->access_token)))
		problem = "the answer has no access_token of use";
	else if (take_text(body, "token_type", &type) && !span_is_nocase(buf_span(&type), "Bearer"))
		problem = "the token is not of type Bearer";
	buf_done(&type);
	if (problem != NULL) {
		take_error(answer, body, problem);
		return false;
	}
	answer->expires_s = take_seconds(body);
	if (!take_text(body, "refresh_token", &answer->refresh_token))
		buf_reset(&answer->refresh_token);
	return true;
}
