/* SPDX-License-Identifier: MIT */
/*
 * Requests to delivery agents. Each goes with a descriptor of the queue file that is read-only
 * and has a shared lock: while any agent has one, no qmgr takes the file for idle. A token
 * says which delivery a result belongs to; it is made with a secret that outlives this process,
 * so that the next qmgr can tell a true result from an invented one.
 */

#include "ipc/deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/siphash.h"
#include "mail/verp.h"
#include "net/endpoint.h"
#include "qmgr/qmgr.h"
#include "queue/envelope.h"

/* A token is a number that tells deliveries apart, and behind it the hash that proves it. */
enum { TOKEN_NUMBER_BITS = 20 };

static struct siphash_key token_key, seal_key;
static uint64_t token_number;

/* `secret` is text from master; without one (a private test) a random key does. */
void deliver_prepare_tokens(struct span secret)
{
	static const struct siphash_key first = { 1, 2 }, second = { 3, 4 };

	token_key.k0 = siphash(&first, secret);
	token_key.k1 = siphash(&second, secret);
	if (secret.n == 0 && getrandom(&token_key, sizeof(token_key), 0) != sizeof(token_key))
		fatal("getrandom: %s", strerror(errno));
	seal_key = endpoint_seal_key(secret);
}

static uint64_t make_token(const char *id, uint64_t number)
{
	char text[QUEUE_ID_MAX + 32];
	int size = snprintf(text, sizeof(text), "%s %llu", id, (unsigned long long)number);
	uint64_t proof = siphash(&token_key, (struct span){ text, (size_t)size });

	return number << (64 - TOKEN_NUMBER_BITS) | proof >> TOKEN_NUMBER_BITS;
}

bool deliver_token_is_good(const char *id, uint64_t token)
{
	return make_token(id, token >> (64 - TOKEN_NUMBER_BITS)) == token;
}

static seconds lifetime(const struct message *message)
{
	return message->envelope.sender.n == 0 ? conf->bounce_queue_lifetime
					       : conf->maximal_queue_lifetime;
}

static uint32_t request_flags(const struct entry *entry)
{
	const struct message *message = entry->job->message;
	const struct destination *destination = entry->destination;
	static const struct {
		uint32_t envelope, deliver;
	} rows[] = {
		{ ENVELOPE_VERIFY_ONLY | ENVELOPE_PROBE, DELIVER_VERIFY },
		{ ENVELOPE_VERBOSE, DELIVER_RECORD },
	};
	int64_t age = clock_wall_now().us - message->header.arrival.us;
	uint32_t flags = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((message->envelope.flags & rows[i].envelope) != 0)
			flags |= rows[i].deliver;
	if (age / 1000000 >= lifetime(message))
		flags |= DELIVER_LAST_TRY;
	/* This entry is one of the busy ones. */
	if (destination->waiting > 0 || destination->busy > 1)
		flags |= DELIVER_MORE;
	return flags;
}

static void encode_rcpts(const struct entry *entry, struct buf *out)
{
	for (size_t i = 0; i < entry->count; i++) {
		const struct rcpt *rcpt = entry->rcpts[i];
		struct msg_rcpt record = { .offset = rcpt->offset, .address = rcpt->target,
					   .orig_address = rcpt->orig_address,
					   .orcpt = rcpt->orcpt, .notify = rcpt->notify };

		if (!msg_rcpt_encode(out, &record))
			panic("%s: recipients do not fit a request", entry->job->message->id);
	}
}

static enum ipc_status send_request(struct entry *entry, struct connection *connection, int fd)
{
	static struct buf rcpts = BUF_INIT(IPC_RECORD_MAX), sender = BUF_INIT(4096);
	struct message *message = entry->job->message;
	struct msg_deliver_request request = {
		.token = entry->token,
		.queue_id = span_of(message->id),
		.queue_name = span_of(queue_dir_name(message->dir)),
		.nexthop = span_of(entry->destination->nexthop),
		.flags = request_flags(entry),
		.arrival_us = message->header.arrival.us,
		.active_us = message->activated.us,
		.size = message->size,
		.sender = message->envelope.sender,
		.envelope = buf_span(&message->envelope_record),
	};

	if (span_starts(request.nexthop, SPAN("unix:")))
		request.nexthop_seal = endpoint_seal(&seal_key, request.nexthop);
	buf_reset(&rcpts);
	buf_reset(&sender);
	encode_rcpts(entry, &rcpts);
	request.rcpts = buf_span(&rcpts);
	if ((message->envelope.flags & ENVELOPE_VERP) != 0 &&
	    verp_sender(&sender, message->envelope.verp_delims, message->envelope.sender,
			verp_rcpt(entry->rcpts[0]->orig_address, entry->rcpts[0]->target),
			conf->double_bounce_sender))
		request.sender = buf_span(&sender);
	return IPC_SEND(&connection->channel, deliver_request, &request, fd, clock_in_ms(0));
}

/* The file for an agent; -1 with errno when it is gone or locked by somebody else. */
static int open_for_agent(struct message *message)
{
	int fd = message_take_fd(message);

	if (fd >= 0)
		return fd;
	fd = queue_open_in(&queue_dirs, message->dir, message->id, O_RDONLY);
	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* The recipients of an entry that cannot be delivered now. */
static void defer_entry(struct entry *entry, const char *reason)
{
	struct message *message = entry->job->message;

	for (size_t i = 0; i < entry->count; i++)
		outcomes_defer(entry->portion, entry->rcpts[i], "4.3.0", reason);
	schedule_end(entry);
	outcomes_send(message);
	message_progress(message);
}

bool deliver_start(struct entry *entry)
{
	struct message *message = entry->job->message;
	struct transport *transport = entry->job->transport;
	uint64_t hash = htab_hash(span_of(entry->destination->name));
	struct connection *connection = transport_connect(transport, hash);
	enum ipc_status status;
	int fd;

	if (connection == NULL) {
		schedule_unpick(entry);
		/* A transport that just died has nothing waiting any more: this one follows. */
		if (transport->is_dead)
			schedule_suspend(entry->destination, transport->dead_status,
					 transport->dead_reason);
		return false;
	}
	fd = open_for_agent(message);
	if (fd < 0) {
		log_warn("%s: open for delivery: %s", message->id, strerror(errno));
		connection_release(connection);
		defer_entry(entry, "queue file is not available");
		return true;
	}
	entry->token = make_token(message->id, ++token_number & ((1u << TOKEN_NUMBER_BITS) - 1));
	status = send_request(entry, connection, fd);
	(void)close(fd);
	if (status != IPC_OK) {
		bool was_used = connection->is_used;

		connection_close(connection);
		if (was_used) {
			/* That agent has just gone; another one is asked. */
			schedule_unpick(entry);
			return true;
		}
		defer_entry(entry, "delivery agent does not take requests");
		return true;
	}
	entry->connection = connection;
	connection->entry = entry;
	connection->last_hash = hash;
	connection->is_used = true;
	return true;
}
