/* SPDX-License-Identifier: MIT */
/*
 * Who is refused at connect because logins from there failed too often: a copy of what anvil knows,
 * which says at once when it changes. postconf(5) smtpd_auth_ban_limit, smtpd_auth_ban_exceptions.
 */

#include <stdio.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "conf/conf.h"
#include "net/bans.h"
#include "proc/service.h"
#include "smtpd/front/front.h"

enum { AGAIN_MS = 2000 };

static struct {
	struct bans bans;
	struct net_list exceptions;
	struct ipc_channel anvil;
	struct event_fd watch;
	struct event_timer again;
} self;

static void connect_anvil(struct event_timer *timer);

static void lose_anvil(void)
{
	event_unwatch(&self.watch);
	ipc_close(&self.anvil);
	event_at(&self.again, clock_in_ms(AGAIN_MS), connect_anvil);
}

static int64_t now_s(void)
{
	return clock_wall_now().us / 1000000;
}

static void on_anvil(struct event_fd *watch, unsigned events)
{
	struct msg_ban_news news;
	enum ipc_status status;

	(void)watch;
	(void)events;
	while ((status = IPC_EXPECT(&self.anvil, ban_news, &news, clock_in_ms(0))) == IPC_OK)
		bans_read(&self.bans, news.bans, now_s());
	if (status != IPC_TIMEOUT)
		lose_anvil();
}

/* What was known stays, until anvil is there again and says what holds. */
static void connect_anvil(struct event_timer *timer)
{
	struct msg_ban_watch watch = { .unused = 0 };

	(void)timer;
	ipc_attach(&self.anvil, service_connect("anvil", clock_in_ms(0)));
	if (!ipc_is_open(&self.anvil) ||
	    IPC_SEND(&self.anvil, ban_watch, &watch, -1, clock_in_ms(0)) != IPC_OK) {
		lose_anvil();
		return;
	}
	bans_done(&self.bans);
	event_watch(&self.watch, self.anvil.fd, EPOLLIN, on_anvil);
}

void bans_setup(void)
{
	self.exceptions = net_list_parse(span_of(conf->smtpd_auth_ban_exceptions));
	ipc_attach(&self.anvil, -1);
	connect_anvil(&self.again);
}

bool bans_admit(struct client *client)
{
	int64_t now = now_s(), until_s;
	char net[BAN_TEXT_MAX], text[200], addr[IP_TEXT_MAX];

	until_s = bans_find(&self.bans, &client->addr, now, net);
	if (until_s == 0 || ip_is_loopback(&client->addr) ||
	    net_list_find(&self.exceptions, &client->addr) != EXEMPT_NO)
		return true;
	(void)ip_text(&client->addr, addr);
	log_info("connect from %s", client_text(client));
	log_warn("%s is banned, by %s, for another %llds", client_text(client), net,
		 (long long)(until_s - now));
	log_info("disconnect from %s commands=0/0", client_text(client));
	(void)snprintf(text, sizeof(text), "too many failed logins from %s", addr);
	client_refuse(client, "4.7.0", text);
	return false;
}
