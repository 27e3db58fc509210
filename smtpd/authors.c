/* SPDX-License-Identifier: MIT */
/* What From: and Sender: say, against the login; see authors.h. RFC 5322 3.6.2, RFC 6409 6.1, 8.1. */

#include "smtpd/authors.h"

#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/submit.h"
#include "smtpd/auth.h"
#include "smtpd/check.h"
#include "smtpd/owner.h"

uint32_t authors_option(const struct session *s)
{
	bool is_checked = strcmp(conf->smtpd_header_from_login_check, "no") != 0 &&
			  auth_user(s).n > 0;

	return is_checked ? (uint32_t)SUBMIT_ASK_AUTHORS : 0;
}

/* The first address of a list that is not the login's, in *ret_address; OWNER_SELF: there is none. */
static enum owner find_foreign(struct session *s, struct span list, struct span *ret_address)
{
	enum owner owner = list.n > 0 ? OWNER_SELF : OWNER_NONE;

	while (owner == OWNER_SELF && span_line(&list, ret_address))
		owner = owner_of_author(s, *ret_address);
	return owner;
}

/* The address of who has logged in: the envelope sender that is theirs, or the login's own. */
static struct span own_address(struct session *s)
{
	struct span login = auth_user(s), sender = s->mail.mail.sender;

	if (sender.n > 0 && owner_of_author(s, sender) == OWNER_SELF)
		return sender;
	if (span_has(login, '@'))
		return arena_span(&s->mail_arena, login);
	return span_of(arena_printf(&s->mail_arena, "%.*s@%.*s", SPAN_ARG(login),
				    SPAN_ARG(tables.site.config.myorigin)));
}

/* An address of From: is not the login's; `address` is empty when the header is not understood. */
static enum verdict refuse(struct check *check, struct span address)
{
	struct span login = auth_user(check->session);

	if (address.n == 0)
		return check_reject_plain(check, 550, "5.7.1",
					  "<END-OF-MESSAGE>: Sender address rejected: no single clear "
					  "From: header, not owned by user %.*s",
					  SPAN_ARG(login));
	return check_reject_plain(check, 550, "5.7.1",
				  "<%s>: Sender address rejected: not owned by user %.*s",
				  log_clean(address), SPAN_ARG(login));
}

/* add_sender: a foreign author gets the login beside it, and a Sender: of somebody else's goes. */
static bool add_sender(struct check *check, bool is_foreign, const struct msg_submit_authors *authors,
		       struct msg_submit_consent *consent)
{
	struct session *s = check->session;
	struct span stranger = { 0 };
	struct buf text = BUF_INIT(2000);
	enum owner owner;

	if (is_foreign) {
		consent->drops_sender = true;
		consent->sender = own_address(s);
		(void)buf_printf(&text, "Sender: %s", log_clean(consent->sender));
		check_log(check, "add_sender", buf_str(&text));
		buf_done(&text);
		return true;
	}
	if (!authors->has_sender)
		return true;
	owner = find_foreign(s, authors->senders, &stranger);
	consent->drops_sender = owner != OWNER_SELF;
	return owner != OWNER_ERROR;
}

/* The texts of `given` end with the packet that they came in. */
static struct msg_submit_authors copy_authors(struct session *s,
					      const struct msg_submit_authors *given)
{
	struct msg_submit_authors copy = *given;

	copy.authors = arena_span(&s->mail_arena, given->authors);
	copy.senders = arena_span(&s->mail_arena, given->senders);
	return copy;
}

bool check_authors(struct session *s, const struct msg_submit_authors *given,
		   struct msg_submit_consent *ret_consent)
{
	struct msg_submit_authors authors = copy_authors(s, given);
	const char *mode = conf->smtpd_header_from_login_check;
	struct check check = { .session = s, .verb = "END-OF-MESSAGE", .is_data = true };
	struct span foreign = { 0 };
	enum owner owner = OWNER_NONE;

	buf_reset(&s->reply);
	check.warn_if_reject = strcmp(mode, "warn") == 0;
	if (authors.is_understood)
		owner = find_foreign(s, authors.authors, &foreign);
	if (owner == OWNER_ERROR)
		return check_local_fault(&check, "smtpd_header_from_login_check: no answer") != CHECK_REJECT;
	if (strcmp(mode, "add_sender") == 0)
		return add_sender(&check, owner != OWNER_SELF, &authors, ret_consent) ||
		       check_local_fault(&check, "smtpd_header_from_login_check: no answer") != CHECK_REJECT;
	return owner == OWNER_SELF || refuse(&check, foreign) != CHECK_REJECT;
}
