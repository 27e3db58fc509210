/* SPDX-License-Identifier: MIT */
/*
 * Results for a collector of the site's own, as libtlsrpt sends them: one datagram of JSON for each
 * session, to the UNIX socket smtp_tlsrpt_socket_name, which the connect service opens. Runs in tlsrpt's
 * loop: what cannot go at once is forgotten, and a socket that is not there is asked for again later.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/tlsrpt.h"
#include "net/endpoint.h"
#include "net/endpoint_connect.h"
#include "services/tlsrpt/tlsrpt.h"

enum { DATAGRAM_MAX = 64000, CONNECT_MS = 1000, PAUSE_MS = 10 * 1000 };

static struct {
	int fd;
	struct clock_mono retry;
} self = { .fd = -1 };

bool forward_is_wanted(void)
{
	return *conf->smtp_tlsrpt_socket_name != '\0';
}

static void put_lines(struct buf *out, const char *name, struct span lines)
{
	const char *between = "";
	struct span line;

	if (lines.n == 0)
		return;
	(void)buf_printf(out, ",\"%s\":[", name);
	while (span_line(&lines, &line)) {
		(void)buf_text(out, between);
		(void)json_string(out, line);
		between = ",";
	}
	(void)buf_char(out, ']');
}

/*
 * {"d": domain, "pr": TXT record, "policies": [{"policy-type": n, "policy-domain": ..., "policy-string":
 * [...], "mx-host": [...], "failure-details": [{"c": failure, "s": sending IP, "n": MX, "h": helo, "r":
 * receiving IP, "f": reason}], "t": number of failures, "f": 0 or 1}]}
 */
static void put_datagram(struct buf *out, const struct msg_tlsrpt_note *note, struct span record)
{
	const struct {
		const char *name;
		struct span value;
	} members[] = {
		{ "s", note->sending_ip }, { "n", note->mx_host }, { "h", note->mx_helo },
		{ "r", note->receiving_ip }, { "f", note->reason },
	};
	bool is_failure = note->failure != TLSRPT_SUCCESS;

	(void)buf_char(out, '{');
	(void)json_member(out, "d", note->domain);
	(void)json_member(out, "pr", record);
	(void)buf_printf(out, ",\"policies\":[{\"policy-type\":%" PRIu32, note->policy_type);
	(void)json_member(out, "policy-domain", note->policy_domain);
	put_lines(out, "policy-string", note->policy_strings);
	put_lines(out, "mx-host", note->mx_patterns);
	if (is_failure) {
		(void)buf_printf(out, ",\"failure-details\":[{\"c\":%" PRIu32, note->failure);
		for (size_t i = 0; i < ARRAY_LEN(members); i++)
			if (members[i].value.n > 0)
				(void)json_member(out, members[i].name, members[i].value);
		(void)buf_text(out, "}]");
	}
	(void)buf_printf(out, ",\"t\":%d,\"f\":%d}]}", is_failure, is_failure);
}

static bool open_socket(void)
{
	struct buf endpoint = BUF_INIT(1024), reason = BUF_INIT(1024);

	if (self.fd >= 0 || !clock_is_past(self.retry))
		return self.fd >= 0;
	(void)buf_printf(&endpoint, ENDPOINT_DGRAM "%s", conf->smtp_tlsrpt_socket_name);
	self.fd = endpoint_connect(buf_span(&endpoint), 0, clock_in_ms(CONNECT_MS), &reason);
	if (self.fd < 0) {
		log_warn("results of TLS sessions cannot be handed to %s: %s",
			 conf->smtp_tlsrpt_socket_name, log_clean(buf_span(&reason)));
		self.retry = clock_in_ms(PAUSE_MS);
	}
	buf_done(&endpoint);
	buf_done(&reason);
	return self.fd >= 0;
}

void forward_note(const struct msg_tlsrpt_note *note, struct span record)
{
	struct buf datagram = BUF_INIT(DATAGRAM_MAX);

	put_datagram(&datagram, note, record);
	/* Twice: the other side may have begun anew since the last one. */
	for (int i = 0; i < 2 && !buf_is_over(&datagram) && open_socket(); i++) {
		if (send(self.fd, buf_str(&datagram), datagram.length,
			 MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
		    errno == EAGAIN || errno == ENOBUFS)
			break;
		(void)close(self.fd);
		self.fd = -1;
	}
	buf_done(&datagram);
}
