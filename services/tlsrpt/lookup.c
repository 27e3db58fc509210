/* SPDX-License-Identifier: MIT */
/*
 * Who wants reports: the TXT record of _smtp._tls.DOMAIN, asked of the dns service over a connection that
 * the event loop watches. It answers in the order of the questions; record.c reads what it says. Runs in
 * tlsrpt.
 */

#include <stdlib.h>
#include <sys/epoll.h>

#include "base/event.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/dns.h"
#include "proc/service.h"
#include "services/tlsrpt/tlsrpt.h"

enum { OUTSTANDING_MAX = 64, TIMEOUT_MS = 30 * 1000 };

struct question {
	struct list link;
	char *domain;
};

static struct {
	struct ipc_channel channel;
	struct event_fd watch;
	struct list questions; /* in the order in which they were asked */
	size_t count;
} self = { .channel = { .fd = -1, .passed_fd = -1 }, .questions = { &self.questions, &self.questions } };

/* The oldest question is answered. */
static void settle(enum lookup_result result, struct span record)
{
	struct question *question = CONTAINER_OF(self.questions.next, struct question, link);

	list_remove(&question->link);
	self.count--;
	collect_looked_up(span_of(question->domain), result, record);
	free(question->domain);
	free(question);
}

static void hang_up(void)
{
	event_unwatch(&self.watch);
	ipc_close(&self.channel);
	while (!list_is_empty(&self.questions))
		settle(LOOKUP_FAILED, SPAN(""));
}

static void take_answer(const struct msg_dns_answer *answer)
{
	struct span record = { NULL, 0 };
	enum lookup_result result = record_of_answer(answer, &record);

	settle(result, record);
}

static void on_answer(struct event_fd *watch, unsigned events)
{
	struct msg_dns_answer answer;
	enum ipc_status status = IPC_OK;

	(void)watch;
	(void)events;
	while (self.count > 0 && status == IPC_OK) {
		status = IPC_EXPECT(&self.channel, dns_answer, &answer, clock_in_ms(0));
		if (status == IPC_OK)
			take_answer(&answer);
	}
	/* Nothing more is due: whatever makes it readable now is its end. */
	if (status == IPC_OK)
		status = ipc_recv(&self.channel, clock_in_ms(0));
	if (status != IPC_TIMEOUT)
		hang_up();
}

static bool send_question(struct span domain)
{
	struct buf name = BUF_INIT(512);
	struct msg_dns_query query = { .type = DNS_TXT, .timeout_ms = TIMEOUT_MS };
	bool is_sent;

	record_name(domain, &name);
	query.name = buf_span(&name);
	is_sent = name.length <= 255 &&
		  IPC_SEND(&self.channel, dns_query, &query, -1, clock_in_ms(0)) == IPC_OK;
	buf_done(&name);
	return is_sent;
}

bool lookup_begin(struct span domain)
{
	struct question *question;

	if (self.count == OUTSTANDING_MAX)
		return false;
	if (!ipc_is_open(&self.channel)) {
		int fd = service_connect("dns", clock_in_ms(0));

		if (fd < 0)
			return false;
		ipc_attach(&self.channel, fd);
		event_watch(&self.watch, fd, EPOLLIN, on_answer);
	}
	if (!send_question(domain))
		return false;
	question = NEW(struct question);
	question->domain = mem_dup(domain);
	list_append(&self.questions, &question->link);
	self.count++;
	return true;
}
