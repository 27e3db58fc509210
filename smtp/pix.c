/* SPDX-License-Identifier: MIT */
/*
 * Cisco PIX firewalls with "smtp fixup" stand between us and the server, mask its greeting with
 * asterisks, know no EHLO, and lose the end of a message whose final dot comes in a packet of its
 * own. See smtp_pix_workarounds in postconf(5). What is read here is from the server.
 */

#include "smtp.h"

#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"

/* All is masked but blanks and the figures of the code. */
static bool is_masked(struct span greeting)
{
	size_t at = 0;

	while (at < greeting.n && span_chr(SPAN("20 *\t"), greeting.p[at], &(size_t){ 0 }))
		at++;
	return at == greeting.n;
}

/* The workarounds for this server. */
static struct span wanted(const struct session *session)
{
	struct span value;
	enum table_status status = maps_find(tables.pix_workarounds, NULL,
					     session_address(session), false, &value);

	if (status == TABLE_FOUND)
		return value;
	if (status == TABLE_ERROR)
		log_warn("%s: %s", maps_title(tables.pix_workarounds),
			 maps_error(tables.pix_workarounds));
	return span_of(conf->smtp_pix_workarounds);
}

/* Whether the message has waited so long that its end may have been lost before. */
static bool is_old(const struct transfer *transfer)
{
	int64_t age_us = clock_wall_now().us - transfer->delivery->request.arrival_us;

	return age_us >= (int64_t)conf->smtp_pix_workaround_threshold_time * 1000000;
}

void pix_detect(struct session *session, const struct transfer *transfer, bool *ret_no_esmtp)
{
	struct span list;

	session->delays_dot = *ret_no_esmtp = false;
	if (is_lmtp || !is_masked(buf_span(&session->reply.text)))
		return;
	list = wanted(session);
	*ret_no_esmtp = words_have(list, SPAN("disable_esmtp"));
	session->delays_dot = is_old(transfer) && words_have(list, SPAN("delay_dotcrlf"));
	if (*ret_no_esmtp || session->delays_dot)
		log_info("%s: enabling PIX workarounds:%s%s for %s", transfer->delivery->id,
			 *ret_no_esmtp ? " disable_esmtp" : "",
			 session->delays_dot ? " delay_dotcrlf" : "", session->relay);
}

void pix_delay_dot(struct session *session)
{
	struct timespec pause = { .tv_sec = conf->smtp_pix_workaround_delay_time };

	if (!session->delays_dot)
		return;
	/* What was written must be on its way before the pause begins. */
	(void)stream_flush(&session->stream);
	while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
		;
}
