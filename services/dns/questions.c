/* SPDX-License-Identifier: MIT */
/*
 * Questions that are on their way. The same question of several clients is asked once. A chain
 * of CNAMEs that a reply leaves open is followed with further questions.
 */

#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"
#include "dns.h"

struct question {
	char *key;
	struct buf name; /* asked now: the first one, or where the chain has come to */
	enum dns_type type;
	unsigned chain;
	uint32_t ttl_s;  /* the least so far */
	bool is_secure;
	struct list waiters;
};

static struct htab questions;

/* "15 example.com" */
static void question_key(struct buf *out, struct span name, enum dns_type type)
{
	(void)buf_printf(out, "%u ", (unsigned)type);
	for (size_t i = 0; i < name.n; i++)
		(void)buf_char(out, ascii_lower(name.p[i]));
}

static void finish(struct question *question, struct answer *answer)
{
	(void)htab_remove(&questions, span_of(question->key));
	while (!list_is_empty(&question->waiters)) {
		struct waiter *waiter = CONTAINER_OF(question->waiters.next, struct waiter, link);

		list_remove(&waiter->link);
		waiter->on_answer(waiter, answer_share(answer));
	}
	answer_drop(answer);
	free(question->key);
	buf_done(&question->name);
	free(question);
}

static void send_question(struct question *question);

/* The reply is complete: it becomes the answer for all who wait. */
static void conclude(struct question *question, struct dns_reply *reply)
{
	struct answer *answer;

	if (reply->is_cut)
		log_warn("%s: only the first %zu records are used",
			 log_clean(buf_span(&question->name)), reply->count);
	if (reply->rcode == DNS_FAIL_NAME)
		log_warn("%s: dropped records with impossible host names",
			 log_clean(buf_span(&question->name)));
	if (question->ttl_s < reply->ttl_s)
		reply->ttl_s = question->ttl_s;
	answer = answer_new(reply, question->is_secure);
	/* What failed now may work the next moment. */
	if (reply->rcode == 0 || reply->rcode == 3)
		cache_put(span_of(question->key), answer);
	finish(question, answer);
}

static void take_reply(struct question *question, struct dns_reply *reply)
{
	question->is_secure = question->is_secure && reply->has_ad && carrier_is_trusted();
	question->chain += reply->chain;
	if (!reply->is_open_chain) {
		conclude(question, reply);
	} else if (question->chain >= DNS_CHAIN_MAX) {
		log_warn("%s: more than %d CNAME records in a row",
			 log_clean(buf_span(&question->name)), DNS_CHAIN_MAX);
		finish(question, answer_failure(DNS_FAIL_SERVER));
	} else {
		if (reply->ttl_s < question->ttl_s)
			question->ttl_s = reply->ttl_s;
		(void)buf_set(&question->name, buf_span(&reply->canonical));
		send_question(question);
	}
}

static void on_reply(void *context, struct span packet, enum dns_failure failure)
{
	struct question *question = context;
	struct dns_reply reply;

	if (packet.n == 0) {
		finish(question, answer_failure(failure));
		return;
	}
	dns_reply_init(&reply);
	if (dns_reply_parse(packet, buf_span(&question->name), question->type, &reply)) {
		take_reply(question, &reply);
	} else {
		log_warn("%s: malformed reply", log_clean(buf_span(&question->name)));
		finish(question, answer_failure(DNS_FAIL_SERVER));
	}
	dns_reply_done(&reply);
}

static void send_question(struct question *question)
{
	struct buf packet = BUF_INIT(1024);
	uint16_t id = 0;

	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		fatal("getrandom: no random numbers");
	if (dns_wire_question(&packet, buf_span(&question->name), question->type, id))
		carrier_send(buf_span(&packet), on_reply, question);
	else
		finish(question, answer_failure(DNS_FAIL_NAME));
	buf_done(&packet);
}

static struct question *new_question(struct span key, struct span name, enum dns_type type)
{
	struct question *question = NEW(struct question);

	question->key = mem_dup(key);
	buf_init(&question->name, 512);
	(void)buf_set(&question->name, name);
	question->type = type;
	question->is_secure = true;
	question->ttl_s = UINT32_MAX;
	list_init(&question->waiters);
	(void)htab_put(&questions, key, question);
	return question;
}

struct answer *question_ask(struct span name, enum dns_type type, struct waiter *waiter)
{
	struct buf key = BUF_INIT(512);
	struct answer *answer;
	struct question *question;

	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	question_key(&key, name, type);
	answer = cache_get(buf_span(&key));
	if (answer == NULL) {
		question = htab_get(&questions, buf_span(&key));
		if (question != NULL) {
			list_append(&question->waiters, &waiter->link);
		} else {
			question = new_question(buf_span(&key), name, type);
			list_append(&question->waiters, &waiter->link);
			send_question(question);
		}
	}
	buf_done(&key);
	return answer;
}

void question_forget(struct waiter *waiter)
{
	list_remove(&waiter->link);
}
