/* SPDX-License-Identifier: MIT */
/*
 * Bans of clients whose logins fail; see bans.h. What they are told to do comes from smtpd, which
 * counts no login of a client that is exempt, and from root's postern(1).
 */

#include "base/list.h"
#include "services/anvil/bans.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/event.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "net/bans.h"
#include "net/rates.h"

enum {
	COUNTED_MAX = 65536, /* clients with failed logins */
	FILE_MAX = (BANS_MAX + 1) * BAN_LINE_MAX,
	PACKET_BYTES = 60 * 1024, /* of one packet of a list */
	READ_BYTES = 16 * 1024,
	EXPIRE_MS = 60 * 1000,
	LIST_MS = 1000, /* who wants a list reads it, or does without */
};

/* What is one client, and the network around it; by family. */
static const struct {
	int client_bits, net_bits;
} sizes[] = { [IP_V4] = { 32, 24 }, [IP_V6] = { 64, 48 } };

static struct {
	struct bans bans;
	struct rates failures;
	struct list watchers;
	struct event_timer expiry;
	int fd; /* of the file; -1: bans are forgotten at a restart */
} self = { .fd = -1 };

static int64_t now_s(void)
{
	return clock_wall_now().us / 1000000;
}

/* ---- the file ---- */

void bans_prepare(void)
{
	char *path = mem_printf("%s/bans", conf->data_directory);

	self.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (self.fd < 0)
		log_warn("open %s: %s: bans will not outlive this process", path, strerror(errno));
	free(path);
}

static void read_file(void)
{
	struct buf text = BUF_INIT(FILE_MAX);
	ssize_t size = 1;

	while (self.fd >= 0 && size > 0) {
		char *room = buf_room(&text, READ_BYTES);

		size = room != NULL ? pread(self.fd, room, READ_BYTES, (off_t)text.length) : 0;
		if (size > 0)
			buf_grew(&text, (size_t)size);
	}
	bans_read(&self.bans, buf_span(&text), now_s());
	buf_done(&text);
}

/* The file may have been longer, and the jail does not let it be cut: an empty line is its end. */
static void write_file(void)
{
	struct buf text = BUF_INIT(FILE_MAX);
	struct htab_slot *cursor = NULL;

	(void)bans_lines(&self.bans, &cursor, FILE_MAX, &text);
	(void)buf_char(&text, '\n');
	if (self.fd >= 0 && pwrite(self.fd, buf_str(&text), text.length, 0) < 0)
		log_warn("cannot write the file of bans: %s", strerror(errno));
	buf_done(&text);
}

/* ---- telling the fronts ---- */

static bool tell(struct ban_watcher *watcher, struct span lines, struct clock_mono deadline)
{
	struct msg_ban_news news = { .bans = lines };

	return IPC_SEND(watcher->channel, ban_news, &news, -1, deadline) == IPC_OK;
}

/* A front that does not read hears no more. */
static void tell_all(const char *net, int64_t until_s)
{
	struct list *at = self.watchers.next;
	struct buf line = BUF_INIT(BAN_LINE_MAX * 2);

	bans_line(&line, span_of(net), until_s);
	while (at != &self.watchers) {
		struct ban_watcher *watcher = CONTAINER_OF(at, struct ban_watcher, link);

		at = at->next;
		if (!tell(watcher, buf_span(&line), clock_in_ms(0)))
			bans_unwatch(watcher);
	}
	buf_done(&line);
}

void bans_watch(struct ban_watcher *watcher, struct ipc_channel *channel)
{
	struct htab_slot *cursor = NULL;
	struct buf lines = BUF_INIT(PACKET_BYTES * 2);
	bool has_more = true, is_told = true;

	bans_unwatch(watcher);
	watcher->channel = channel;
	list_append(&self.watchers, &watcher->link);
	while (has_more && is_told) {
		buf_reset(&lines);
		has_more = bans_lines(&self.bans, &cursor, PACKET_BYTES, &lines);
		is_told = tell(watcher, buf_span(&lines), clock_in_ms(LIST_MS));
	}
	buf_done(&lines);
}

void bans_unwatch(struct ban_watcher *watcher)
{
	list_remove(&watcher->link);
	list_init(&watcher->link);
}

/* ---- bans ---- */

static bool add(const struct ip_net *net, const char *text, int64_t seconds_long)
{
	int64_t until_s = now_s() + seconds_long;

	if (!bans_set(&self.bans, net, until_s))
		return false;
	write_file();
	tell_all(text, until_s);
	return true;
}

static bool count(const struct ip_addr *addr, int bits, int limit)
{
	char text[RATES_CLIENT_MAX];
	struct ip_net net = { .addr = *addr, .prefix_bits = (unsigned)bits };
	unsigned failures;

	rates_client(addr, bits, bits, text);
	failures = rates_add(&self.failures, span_of(text), RATE_AUTH, clock_mono_now());
	if (limit == 0 || failures < (unsigned)limit)
		return false;
	ip_mask(&net.addr, net.prefix_bits);
	if (failures == (unsigned)limit)
		log_warn("banned for %ds: %s: %u failed logins in %ds", conf->smtpd_auth_ban_time,
			 text, failures, conf->smtpd_auth_ban_window);
	return add(&net, text, conf->smtpd_auth_ban_time);
}

bool bans_note_failure(struct span address)
{
	struct ip_addr addr;
	bool is_client_banned, is_net_banned;

	if (conf->smtpd_auth_ban_limit == 0 || !ip_parse(address, &addr))
		return false;
	is_client_banned =
		count(&addr, sizes[addr.family].client_bits, conf->smtpd_auth_ban_limit);
	is_net_banned =
		count(&addr, sizes[addr.family].net_bits, conf->smtpd_auth_ban_network_limit);
	return is_client_banned || is_net_banned;
}

static void on_expiry(struct event_timer *timer)
{
	bans_expire(&self.bans, now_s());
	event_at(timer, clock_in_ms(EXPIRE_MS), on_expiry);
}

void bans_start(void)
{
	list_init(&self.watchers);
	rates_init(&self.failures, COUNTED_MAX, (int64_t)conf->smtpd_auth_ban_window * 1000);
	read_file();
	event_at(&self.expiry, clock_in_ms(EXPIRE_MS), on_expiry);
}

/* ---- postern ban ---- */

static bool answer(struct ipc_channel *channel, uint32_t result, struct span text, bool has_more)
{
	struct msg_queue_answer message = { .result = result, .text = text, .more = has_more };

	return IPC_SEND(channel, queue_answer, &message, -1, clock_in_ms(LIST_MS)) == IPC_OK;
}

static bool list_bans(struct ipc_channel *channel)
{
	struct buf lines = BUF_INIT(PACKET_BYTES * 2);
	struct htab_slot *cursor = NULL;
	bool has_more = true, is_sent = true;

	bans_expire(&self.bans, now_s());
	while (is_sent && has_more) {
		buf_reset(&lines);
		has_more = bans_lines(&self.bans, &cursor, PACKET_BYTES, &lines);
		is_sent = answer(channel, 0, buf_span(&lines), has_more);
	}
	buf_done(&lines);
	return is_sent;
}

static const char *change(const struct msg_ban_command *command, const struct ip_net *net,
			  const char *text)
{
	uint32_t duration_s = command->duration_s;

	if (command->verb == BAN_ADD) {
		if (duration_s == 0)
			duration_s = (uint32_t)conf->smtpd_auth_ban_time;
		if (!add(net, text, duration_s))
			return "there are too many bans";
		log_info("banned for %us: %s: by the administrator", (unsigned)duration_s, text);
		return NULL;
	}
	if (command->verb != BAN_DELETE)
		return "unknown command";
	if (!bans_lift(&self.bans, net))
		return "not banned";
	write_file();
	tell_all(text, 0);
	log_info("ban lifted: %s: by the administrator", text);
	return NULL;
}

bool bans_command(struct ipc_channel *channel, const struct msg_ban_command *command)
{
	struct buf error = BUF_INIT(1000);
	struct ip_net net;
	char text[RATES_CLIENT_MAX];
	bool is_sent;

	if (command->verb == BAN_LIST)
		return list_bans(channel);
	if (ip_net_parse(command->net, &net, &error)) {
		const char *problem;

		rates_client(&net.addr, (int)net.prefix_bits, (int)net.prefix_bits, text);
		problem = change(command, &net, text);
		is_sent = answer(channel, problem != NULL, span_of(problem), false);
	} else {
		is_sent = answer(channel, 1, buf_span(&error), false);
	}
	buf_done(&error);
	return is_sent;
}
