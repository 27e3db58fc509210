/* SPDX-License-Identifier: MIT */
#ifndef MAIL_SMTP_CMD_H
#define MAIL_SMTP_CMD_H

/*
 * The arguments of MAIL and RCPT: an address and ESMTP parameters (RFC 5321 4.1.1.2, 4.1.1.3,
 * 4.1.2). What was not announced to the client is unknown here, too.
 */

#include "mail/dsn.h"
#include "mail/smtp_addr.h"

struct buf;

/* Extensions that were announced, and so parameters that may come. */
enum smtp_ext {
	SMTP_EXT_SIZE = 1 << 0, /* RFC 1870 */
	SMTP_EXT_8BITMIME = 1 << 1, /* RFC 6152 */
	SMTP_EXT_BINARYMIME = 1 << 2, /* RFC 3030 */
	SMTP_EXT_SMTPUTF8 = 1 << 3, /* RFC 6531 */
	SMTP_EXT_DSN = 1 << 4, /* RFC 3461 */
	SMTP_EXT_AUTH = 1 << 5, /* RFC 4954 */
	SMTP_EXT_REQUIRETLS = 1 << 6, /* RFC 8689 */
	SMTP_EXT_XVERP = 1 << 7, /* VERP_README */
};

enum smtp_body { SMTP_BODY_UNSET, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };

enum smtp_cmd_status {
	SMTP_CMD_OK,
	SMTP_CMD_SYNTAX, /* 501 5.5.4: FROM: or TO: missing, nothing behind it */
	SMTP_CMD_BAD_ADDRESS, /* 501 5.1.7 for MAIL, 501 5.1.3 for RCPT */
	SMTP_CMD_NEEDS_UTF8, /* 553 5.6.7 */
	SMTP_CMD_UNKNOWN, /* 555 5.5.4: a parameter that is not known here */
	SMTP_CMD_TOO_MANY, /* 555 5.5.4: more than SMTP_CMD_PARAMS_MAX of them */
	SMTP_CMD_BAD_VALUE, /* 501 5.5.4: a known parameter with a bad value, or a second time */
	SMTP_CMD_TOO_BIG, /* 552 5.3.4: SIZE has more digits than any disk has bytes */
};

enum { SMTP_CMD_PARAMS_MAX = 64 };

struct smtp_mail {
	struct span sender; /* internal form, empty for <>; points into the buffer */
	struct span envid; /* as it came: xtext, checked */
	struct span auth; /* decoded, empty for <>; points into the buffer */
	struct span xverp; /* the two delimiters, or empty for XVERP without value */
	uint64_t size_bytes;
	enum smtp_body body;
	enum dsn_ret ret;
	bool has_size, has_auth, has_xverp;
	bool is_smtputf8, is_requiretls;
};

struct smtp_rcpt {
	struct span recipient; /* internal form; points into the buffer */
	struct span orcpt; /* decoded, "type;address", empty without; points into the buffer */
	unsigned notify; /* of enum dsn_notify; 0 without */
};

struct smtp_cmd_rules {
	unsigned ext; /* of enum smtp_ext */
	unsigned addr_flags; /* of enum smtp_addr_flags; SMTP_ADDR_UTF8 is set for MAIL by itself */
	bool is_lax; /* as Postfix: the last of several SIZE or BODY counts, ENVID of any length */
	struct span verp_delimiters; /* what XVERP may name (verp_delimiter_filter) */
};

/*
 * Parses what follows the verb: "FROM:<a@b> SIZE=5". `words` is emptied and gets the decoded
 * parts; give it room for the length of `args`. `ret_bad`, for the reply, gets the parameter at
 * fault with SMTP_CMD_UNKNOWN and the keyword with SMTP_CMD_BAD_VALUE. `ret` is complete only
 * with SMTP_CMD_OK. For RCPT put SMTP_ADDR_UTF8 into the flags when MAIL had SMTPUTF8.
 */
MUST_USE enum smtp_cmd_status smtp_mail_parse(struct span args, const struct smtp_cmd_rules *rules,
					      struct buf *words, struct smtp_mail *ret,
					      struct span *ret_bad);
MUST_USE enum smtp_cmd_status smtp_rcpt_parse(struct span args, const struct smtp_cmd_rules *rules,
					      struct buf *words, struct smtp_rcpt *ret,
					      struct span *ret_bad);

#endif
