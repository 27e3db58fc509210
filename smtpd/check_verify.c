/* SPDX-License-Identifier: MIT */
/*
 * reject_unverified_sender and reject_unverified_recipient: addresses that verify(8) finds
 * undeliverable. ADDRESS_VERIFICATION_README, postconf(5).
 */

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/verify.h"
#include "proc/service.h"
#include "smtpd/check.h"

/* How much longer than its own waiting verify may take. */
enum { GRACE_MS = 30000 };

/* What postconf(5) has for senders and recipients apart. */
struct kind {
	enum subject subject;
	const char *status;
	int reject_code, defer_code;
	const char *tempfail_action, *reason;
};

static struct ipc_channel channel = { .fd = -1, .passed_fd = -1 };

/* Asks once; the connection is kept. The answer's text is the channel's. */
static bool exchange(const struct msg_verify_query *query, struct msg_verify_answer *ret,
		     struct clock_mono deadline)
{
	if (!ipc_is_open(&channel)) {
		int fd = service_connect(conf->address_verify_service_name, deadline);

		if (fd < 0)
			return false;
		ipc_attach(&channel, fd);
	}
	if (IPC_SEND(&channel, verify_query, query, -1, deadline) == IPC_OK &&
	    IPC_EXPECT(&channel, verify_answer, ret, deadline) == IPC_OK)
		return true;
	ipc_close(&channel);
	return false;
}

/* In place of asking again and again, the service is told how long we would have done so. */
static uint32_t wait_ms(void)
{
	int64_t polls = conf->address_verify_poll_count > 1 ? conf->address_verify_poll_count - 1 : 0;
	int64_t ms = polls * conf->address_verify_poll_delay * 1000;

	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static enum verdict verify(struct check *check, struct span address, const struct kind *kind)
{
	struct msg_verify_query query = { .address = address, .wait_ms = wait_ms() };
	struct clock_mono deadline = clock_in_ms((int64_t)query.wait_ms + GRACE_MS);
	struct msg_verify_answer answer;
	const char *text;
	bool was_open = ipc_is_open(&channel);

	/* A connection that was kept may have been to a service that has gone since. */
	if (!exchange(&query, &answer, deadline) &&
	    (!was_open || !exchange(&query, &answer, deadline))) {
		log_warn("%s service failure: %s", conf->address_verify_service_name,
			 strerror(errno));
		answer = (struct msg_verify_answer){
			.state = VERIFY_DEFER, .text = SPAN("address verification problem") };
	}
	text = *kind->reason != '\0' ? kind->reason : log_clean(answer.text);

	const char *prefix = *kind->reason != '\0' ? "" : "unverified address: ";

	switch ((enum verify_state)answer.state) {
	case VERIFY_OK: return CHECK_DUNNO;
	case VERIFY_BOUNCE:
		return check_reject(check, kind->subject, kind->reject_code, kind->status, "%s%s",
				    prefix, text);
	case VERIFY_DEFER:
	case VERIFY_PENDING: break;
	}
	return check_tempfail(check, kind->tempfail_action, kind->subject, kind->defer_code,
			      kind->status, "%s%s", prefix, text);
}

enum verdict reject_unverified_sender(struct check *check, const struct restriction *restriction)
{
	const struct transaction *mail = &check->session->mail;
	const struct kind kind = { SUBJECT_SENDER,
				   "4.1.7",
				   conf->unverified_sender_reject_code,
				   conf->unverified_sender_defer_code,
				   conf->unverified_sender_tempfail_action,
				   conf->unverified_sender_reject_reason };

	(void)restriction;
	if (!mail->is_open || mail->mail.sender.n == 0)
		return CHECK_DUNNO;
	return verify(check, mail->mail.sender, &kind);
}

enum verdict reject_unverified_rcpt(struct check *check, const struct restriction *restriction)
{
	struct span rcpt = check_rcpt_of(check);
	const struct kind kind = { SUBJECT_RCPT,
				   "4.1.1",
				   conf->unverified_recipient_reject_code,
				   conf->unverified_recipient_defer_code,
				   conf->unverified_recipient_tempfail_action,
				   conf->unverified_recipient_reject_reason };

	(void)restriction;
	return rcpt.n > 0 ? verify(check, rcpt, &kind) : CHECK_DUNNO;
}
