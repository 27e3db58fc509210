/* SPDX-License-Identifier: MIT */
/* Dovecot's authentication protocol; see dovecot.h. Runs in smtpd. */

#include "sasl/dovecot.h"

#include <string.h>

#include "base/base64.h"

/* The next field. Unlike words, fields may be empty. False behind the last. */
static bool next_field(struct span *rest, struct span *ret)
{
	struct span left, right;

	if (rest->p == NULL)
		return false;
	if (span_cut(*rest, '\t', &left, &right)) {
		*ret = left;
		*rest = right;
	} else {
		*ret = *rest;
		*rest = (struct span){ NULL, 0 };
	}
	return true;
}

static bool is_clean(struct span line)
{
	return line.n > 0 && memchr(line.p, '\0', line.n) == NULL;
}

static bool is_base64(struct span text)
{
	struct buf scratch = BUF_INIT(DOVECOT_LINE_MAX);
	bool is_good = base64_decode(&scratch, text);

	buf_done(&scratch);
	return is_good;
}

/* ---- greeting ---- */

/* "MECH <tab> NAME <tab> parameter ..." */
static void take_mechanism(struct dovecot_greeting *greeting, struct span fields)
{
	static const struct {
		const char *word;
		unsigned property;
	} words[] = {
		{ "plaintext", SASL_PLAINTEXT },   { "active", SASL_ACTIVE },
		{ "dictionary", SASL_DICTIONARY }, { "anonymous", SASL_ANONYMOUS },
		{ "mutual-auth", SASL_MUTUAL_AUTH },
		{ "forward-secrecy", SASL_FORWARD_SECRECY },
	};
	struct span name = { NULL, 0 }, field;
	unsigned properties = 0;

	(void)!next_field(&fields, &name);
	while (next_field(&fields, &field)) {
		if (span_is(field, "private"))
			return;
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (span_is(field, words[i].word))
				properties |= words[i].property;
	}
	/* One that is no name cannot be asked for. */
	(void)!sasl_mechanisms_add(&greeting->mechanisms, name, properties);
}

bool dovecot_greeting_line(struct dovecot_greeting *greeting, struct span line)
{
	struct span rest = line, word, major;
	uint64_t number;

	if (!is_clean(line) || !next_field(&rest, &word))
		return false;
	if (span_is(word, "VERSION")) {
		greeting->has_version = next_field(&rest, &major) && span_u64(major, 1, &number) &&
					number == 1;
		return greeting->has_version;
	}
	if (span_is(word, "MECH"))
		take_mechanism(greeting, rest);
	else if (span_is(word, "DONE"))
		greeting->is_done = true;
	return !greeting->is_done || greeting->has_version;
}

/* ---- requests ---- */

bool dovecot_auth_line(struct buf *out, const struct dovecot_request *request)
{
	(void)buf_printf(out, "AUTH\t%u\t%s\tservice=%s\tnologin\tlip=%s\trip=%s",
			 (unsigned)request->id, request->mechanism, request->service,
			 request->local_addr, request->remote_addr);
	if (*request->local_port != '\0')
		(void)buf_printf(out, "\tlport=%s", request->local_port);
	if (*request->remote_port != '\0')
		(void)buf_printf(out, "\trport=%s", request->remote_port);
	if (request->is_secured)
		(void)buf_text(out, "\tsecured");
	/* It must be the last: what follows belongs to it. */
	if (request->has_response)
		(void)buf_printf(out, "\tresp=%.*s", SPAN_ARG(request->response));
	(void)buf_char(out, '\n');
	return !buf_is_over(out);
}

/* ---- answers ---- */

static void take_parameter(struct dovecot_answer *answer, struct span field)
{
	struct span name, value;

	if (span_is(field, "temp")) {
		answer->is_temporary = true;
	} else if (span_cut(field, '=', &name, &value)) {
		if (span_is(name, "user"))
			answer->user = value;
		else if (span_is(name, "reason"))
			answer->reason = value;
		else if (span_is(name, "code") && span_is(value, "temp_fail"))
			answer->is_temporary = true;
	}
}

enum dovecot_kind dovecot_answer_parse(struct span line, struct dovecot_answer *ret)
{
	struct span rest = line, word, field;
	enum dovecot_kind kind;
	uint64_t id;

	*ret = (struct dovecot_answer){ 0 };
	if (!is_clean(line) || !next_field(&rest, &word))
		return DOVECOT_BAD;
	if (span_is(word, "OK"))
		kind = DOVECOT_OK;
	else if (span_is(word, "CONT"))
		kind = DOVECOT_CONT;
	else if (span_is(word, "FAIL"))
		kind = DOVECOT_FAIL;
	else
		return DOVECOT_OTHER;
	if (!next_field(&rest, &field) || !span_u64(field, UINT32_MAX, &id))
		return DOVECOT_BAD;
	ret->id = (uint32_t)id;
	if (kind == DOVECOT_CONT) {
		if (next_field(&rest, &field))
			ret->challenge = field;
		return is_base64(ret->challenge) ? DOVECOT_CONT : DOVECOT_BAD;
	}
	while (next_field(&rest, &field))
		take_parameter(ret, field);
	return kind == DOVECOT_OK && ret->user.n == 0 ? DOVECOT_BAD : kind;
}
