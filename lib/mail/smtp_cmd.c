/* SPDX-License-Identifier: MIT */
/*
 * MAIL and RCPT arguments; see smtp_cmd.h. Runs in smtpd, on what the peer sent. RFC 5321
 * 4.1.1.2, 4.1.1.3, 4.1.1.11, RFC 1870, 3030, 3461, 4954, 6152, 6531, 8689.
 */

#include "mail/smtp_cmd.h"

#include "base/buf.h"
#include "mail/verp.h"
#include "mail/xtext.h"

enum { ENVID_MAX = 100 };

enum param_id {
	PARAM_SIZE, PARAM_BODY, PARAM_SMTPUTF8, PARAM_RET, PARAM_ENVID, PARAM_AUTH,
	PARAM_REQUIRETLS, PARAM_XVERP, PARAM_NOTIFY, PARAM_ORCPT, PARAM_COUNT
};

/* What one call works on. Exactly one of mail and rcpt is there. */
struct work {
	const struct smtp_cmd_rules *rules;
	struct buf *words;
	struct smtp_mail *mail;
	struct smtp_rcpt *rcpt;
	bool is_seen[PARAM_COUNT];
};

static enum smtp_cmd_status take_size(struct work *work, struct span value)
{
	if (value.n == 0)
		return SMTP_CMD_BAD_VALUE;
	for (size_t i = 0; i < value.n; i++)
		if (!ascii_is_digit(value.p[i]))
			return SMTP_CMD_BAD_VALUE;
	if (!span_u64(value, INT64_MAX, &work->mail->size_bytes))
		return SMTP_CMD_TOO_BIG;
	work->mail->has_size = true;
	return SMTP_CMD_OK;
}

static enum smtp_cmd_status take_body(struct work *work, struct span value)
{
	if (span_is_nocase(value, "7BIT"))
		work->mail->body = SMTP_BODY_7BIT;
	else if (span_is_nocase(value, "8BITMIME"))
		work->mail->body = SMTP_BODY_8BITMIME;
	else if (span_is_nocase(value, "BINARYMIME") &&
		 (work->rules->ext & SMTP_EXT_BINARYMIME) != 0)
		work->mail->body = SMTP_BODY_BINARYMIME;
	else
		return SMTP_CMD_UNKNOWN;
	return SMTP_CMD_OK;
}

static enum smtp_cmd_status take_smtputf8(struct work *work, struct span value UNUSED)
{
	work->mail->is_smtputf8 = true;
	return SMTP_CMD_OK;
}

static enum smtp_cmd_status take_requiretls(struct work *work, struct span value UNUSED)
{
	work->mail->is_requiretls = true;
	return SMTP_CMD_OK;
}

static enum smtp_cmd_status take_ret(struct work *work, struct span value)
{
	return dsn_ret_parse(value, &work->mail->ret) ? SMTP_CMD_OK : SMTP_CMD_BAD_VALUE;
}

/* It travels encoded, up to the report; what it stands for is looked at once, here. */
static enum smtp_cmd_status take_envid(struct work *work, struct span value)
{
	size_t before = buf_span(work->words).n;

	if (value.n == 0 || (value.n > ENVID_MAX && !work->rules->is_lax))
		return SMTP_CMD_BAD_VALUE;
	if (!xtext_decode(work->words, value))
		return SMTP_CMD_BAD_VALUE;
	buf_truncate(work->words, before);
	work->mail->envid = value;
	return SMTP_CMD_OK;
}

static enum smtp_cmd_status take_auth(struct work *work, struct span value)
{
	size_t before = buf_span(work->words).n;

	if (value.n == 0 || !xtext_decode(work->words, value))
		return SMTP_CMD_BAD_VALUE;
	work->mail->auth = span_from(buf_span(work->words), before);
	if (span_is(work->mail->auth, "<>"))
		work->mail->auth.n = 0;
	work->mail->has_auth = true;
	return SMTP_CMD_OK;
}

static enum smtp_cmd_status take_xverp(struct work *work, struct span value)
{
	/* "XVERP" has no value, which is another thing than the empty one of "XVERP=". */
	if (value.p != NULL && !verp_are_delimiters(value, work->rules->verp_delimiters))
		return SMTP_CMD_BAD_VALUE;
	work->mail->xverp = value;
	work->mail->has_xverp = true;
	return SMTP_CMD_OK;
}

static enum smtp_cmd_status take_notify(struct work *work, struct span value)
{
	return dsn_notify_parse(value, &work->rcpt->notify) ? SMTP_CMD_OK : SMTP_CMD_BAD_VALUE;
}

static enum smtp_cmd_status take_orcpt(struct work *work, struct span value)
{
	size_t before = buf_span(work->words).n;

	if (!dsn_orcpt_decode(work->words, value))
		return SMTP_CMD_BAD_VALUE;
	work->rcpt->orcpt = span_from(buf_span(work->words), before);
	return SMTP_CMD_OK;
}

enum value_rule { VALUE_NONE, VALUE_NEEDED, VALUE_OPTIONAL };

static const struct param {
	const char *name;
	enum smtp_ext ext;
	bool is_for_rcpt;
	bool may_repeat; /* in the lax form */
	enum value_rule value;
	enum smtp_cmd_status (*take)(struct work *work, struct span value);
} params[PARAM_COUNT] = {
	[PARAM_SIZE] = { "SIZE", SMTP_EXT_SIZE, false, true, VALUE_NEEDED, take_size },
	[PARAM_BODY] = { "BODY", SMTP_EXT_8BITMIME, false, true, VALUE_NEEDED, take_body },
	[PARAM_SMTPUTF8] = { "SMTPUTF8", SMTP_EXT_SMTPUTF8, false, true, VALUE_NONE,
			     take_smtputf8 },
	[PARAM_RET] = { "RET", SMTP_EXT_DSN, false, false, VALUE_NEEDED, take_ret },
	[PARAM_ENVID] = { "ENVID", SMTP_EXT_DSN, false, false, VALUE_NEEDED, take_envid },
	[PARAM_AUTH] = { "AUTH", SMTP_EXT_AUTH, false, true, VALUE_NEEDED, take_auth },
	[PARAM_REQUIRETLS] = { "REQUIRETLS", SMTP_EXT_REQUIRETLS, false, true, VALUE_NONE,
			       take_requiretls },
	[PARAM_XVERP] = { "XVERP", SMTP_EXT_XVERP, false, true, VALUE_OPTIONAL, take_xverp },
	[PARAM_NOTIFY] = { "NOTIFY", SMTP_EXT_DSN, true, false, VALUE_NEEDED, take_notify },
	[PARAM_ORCPT] = { "ORCPT", SMTP_EXT_DSN, true, false, VALUE_NEEDED, take_orcpt },
};

static const struct param *find_param(const struct work *work, struct span name, bool has_value)
{
	for (size_t i = 0; i < PARAM_COUNT; i++) {
		const struct param *param = &params[i];

		if (param->is_for_rcpt != (work->rcpt != NULL) ||
		    !span_is_nocase(name, param->name))
			continue;
		if ((work->rules->ext & param->ext) == 0 ||
		    (param->value != VALUE_OPTIONAL && has_value != (param->value == VALUE_NEEDED)))
			return NULL;
		return param;
	}
	return NULL;
}

/* esmtp-param = keyword ["=" value] */
static enum smtp_cmd_status take_param(struct work *work, struct span word, struct span *ret_bad)
{
	struct span name = word, value = { NULL, 0 };
	bool has_value = span_cut(word, '=', &name, &value);
	const struct param *param = find_param(work, name, has_value);
	enum smtp_cmd_status status;

	*ret_bad = word;
	if (param == NULL)
		return SMTP_CMD_UNKNOWN;
	if (work->is_seen[param - params] && !(param->may_repeat && work->rules->is_lax))
		status = SMTP_CMD_BAD_VALUE;
	else
		status = param->take(work, value);
	work->is_seen[param - params] = true;
	if (status != SMTP_CMD_UNKNOWN)
		*ret_bad = name;
	return status;
}

static enum smtp_cmd_status take_params(struct work *work, struct span args, struct span *ret_bad)
{
	enum smtp_cmd_status status = SMTP_CMD_OK;
	struct span word;
	size_t count = 0;

	while (status == SMTP_CMD_OK && (word = span_word(&args, " \t")).n > 0)
		status = ++count > SMTP_CMD_PARAMS_MAX ? SMTP_CMD_TOO_MANY :
							  take_param(work, word, ret_bad);
	return status;
}

/* ("FROM:" / "TO:") *WSP path: what follows the prefix; false without it or with nothing there */
static bool take_prefix(struct span args, struct span prefix, struct span *ret_rest)
{
	args = span_trim(args);
	if (!span_starts_nocase(args, prefix))
		return false;
	*ret_rest = span_trim(span_from(args, prefix.n));
	return ret_rest->n > 0;
}

/* The exact form of the grammar has no blank between the colon and the path. */
static bool has_blank_before_path(struct span args, struct span prefix)
{
	args = span_from(span_trim(args), prefix.n);
	return args.n > 0 && ascii_is_blank(args.p[0]);
}

/*
 * The address comes first in the line and in the choice of a reply, but whether it may be UTF-8
 * only the parameters of MAIL say.
 */
static enum smtp_cmd_status parse(struct work *work, struct span args, struct span prefix,
				  struct span *ret_addr, struct span *ret_bad)
{
	unsigned flags = work->rules->addr_flags;
	struct span rest, path;
	enum smtp_cmd_status status;
	size_t start;

	buf_reset(work->words);
	if (!take_prefix(args, prefix, &rest) || buf_room(work->words, args.n + 1) == NULL)
		return SMTP_CMD_SYNTAX;
	path = span_first(rest, smtp_addr_length(rest));
	if ((flags & SMTP_ADDR_EXACT) != 0 && has_blank_before_path(args, prefix))
		return SMTP_CMD_BAD_ADDRESS;
	status = take_params(work, span_from(rest, path.n), ret_bad);
	if (work->mail != NULL && work->mail->is_smtputf8)
		flags = (flags | SMTP_ADDR_UTF8) & ~(unsigned)SMTP_ADDR_ASCII;
	start = buf_span(work->words).n;
	switch (smtp_addr_parse(path, flags, work->words)) {
	case SMTP_ADDR_OK:
		break;
	case SMTP_ADDR_SYNTAX:
		return SMTP_CMD_BAD_ADDRESS;
	case SMTP_ADDR_NEEDS_UTF8:
		return SMTP_CMD_NEEDS_UTF8;
	}
	*ret_addr = span_from(buf_span(work->words), start);
	return status;
}

enum smtp_cmd_status smtp_mail_parse(struct span args, const struct smtp_cmd_rules *rules,
				     struct buf *words, struct smtp_mail *ret, struct span *ret_bad)
{
	struct work work = { .rules = rules, .words = words, .mail = ret };

	*ret = (struct smtp_mail){ 0 };
	return parse(&work, args, SPAN("FROM:"), &ret->sender, ret_bad);
}

enum smtp_cmd_status smtp_rcpt_parse(struct span args, const struct smtp_cmd_rules *rules,
				     struct buf *words, struct smtp_rcpt *ret, struct span *ret_bad)
{
	struct work work = { .rules = rules, .words = words, .rcpt = ret };
	enum smtp_cmd_status status;

	*ret = (struct smtp_rcpt){ 0 };
	status = parse(&work, args, SPAN("TO:"), &ret->recipient, ret_bad);
	if (ret->recipient.n == 0 && (status == SMTP_CMD_OK || status == SMTP_CMD_UNKNOWN ||
				      status == SMTP_CMD_BAD_VALUE))
		return SMTP_CMD_BAD_ADDRESS;
	return status;
}
