/* SPDX-License-Identifier: MIT */
/*
 * The DNS for a command: the parts of dns(8) in this process, so that it works before there is a mail
 * system. Questions are asked one after the other. Runs as the caller; the servers of resolv.conf are
 * trusted as dns(8) trusts them.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/event.h"
#include "base/log.h"
#include "commands/posttls-finger/finger.h"
#include "net/dns.h"
#include "services/dns/dns.h"

enum { FILE_BYTES_MAX = 4 * 1024 * 1024 };

/* The answer of the last question: its texts are in use until the next. */
static struct answer *last;

static void on_answer(struct waiter *waiter, struct answer *answer)
{
	(void)waiter;
	last = answer;
}

static bool answer_question(const struct msg_dns_query *query, struct clock_mono deadline,
			    struct msg_dns_answer *ret_answer)
{
	struct waiter waiter = { .on_answer = on_answer };
	enum dns_type type = (enum dns_type)query->type;

	answer_drop(last);
	last = local_answer(query->name, type, query->flags);
	if (last == NULL)
		last = question_ask(query->name, type, &waiter);
	while (last == NULL && !clock_is_past(deadline))
		event_once(deadline);
	if (last == NULL) {
		question_forget(&waiter);
		return false;
	}
	*ret_answer = (struct msg_dns_answer){
		.rcode = last->rcode,
		.is_secure = last->is_secure && (query->flags & DNS_WANT_SECURE) != 0,
		.ttl_s = (uint32_t)(clock_poll_ms(last->expires) / 1000),
		.canonical_name = last->canonical,
		.records = last->records,
	};
	return true;
}

/* The whole file into `out`; one that is not there is empty. */
static void read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || !buf_read(out, fd))
		if (errno != ENOENT)
			log_warn("%s: %s", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
}

bool resolver_open(void)
{
	struct buf text = BUF_INIT(FILE_BYTES_MAX);
	struct resolv_conf servers;

	event_open();
	read_file("/etc/resolv.conf", &text);
	resolv_conf_parse(buf_span(&text), &servers);
	carrier_prepare(&servers);
	buf_reset(&text);
	read_file("/etc/hosts", &text);
	hosts_parse(buf_span(&text), &hosts);
	buf_done(&text);
	dns_answer_with(answer_question);
	return carrier_is_trusted();
}
