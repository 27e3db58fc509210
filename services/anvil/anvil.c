/* SPDX-License-Identifier: MIT */
/*
 * anvil: how many messages, recipients, TLS sessions and logins each client made in the present
 * unit of time. smtpd asks when a limit is set, and acts; the front of smtpd counts connections
 * by itself and says here what the most was. The highest counts are logged from time to time.
 * Failed logins are counted as well, and end in a ban, which the fronts are told of: bans.c.
 *
 * One process with an event loop, as uid net in a directory of its own without a file; that of
 * the bans it has open from the start. Its
 * clients are jailed programs of Postern; what they send is decoded strictly, and the table of
 * clients is bounded whatever they say. Manual: anvil(8).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/event.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "net/rates.h"
#include "proc/service.h"
#include "services/anvil/bans.h"

enum { CLIENTS_MAX = 65536, NAME_MAX_BYTES = 320 };

struct connection {
	struct event_fd watch;
	struct ipc_channel channel;
	struct ban_watcher watcher;
	const char *client;
};

/* The highest count of one kind since it was logged last. */
struct peak {
	unsigned count;
	char name[NAME_MAX_BYTES]; /* service:client */
	time_t when;
};

static struct {
	struct rates rates;
	struct peak peaks[RATE_PEAKS];
	size_t most_clients;
	time_t most_clients_when;
	struct event_timer report;
} self;

/* ---- the highest counts ---- */

static void note_peak(unsigned kind, unsigned count, struct span name)
{
	struct peak *peak = &self.peaks[kind];

	if (count <= peak->count)
		return;
	peak->count = count;
	peak->when = time(NULL);
	(void)snprintf(peak->name, sizeof(peak->name), "%s", log_clean(name));
}

static const char *time_text(time_t when)
{
	static char text[32];
	struct tm tm;

	(void)strftime(text, sizeof(text), "%b %e %H:%M:%S", localtime_r(&when, &tm));
	return text;
}

static void log_peaks(void)
{
	static const char *const names[RATE_PEAKS] = {
		[RATE_CONNECTION] = "connection rate", [RATE_MESSAGE] = "message rate",
		[RATE_RECIPIENT] = "recipient rate",   [RATE_NEW_TLS] = "newtls rate",
		[RATE_AUTH] = "auth rate",             [RATE_CONCURRENCY] = "connection count",
	};

	for (size_t i = 0; i < RATE_PEAKS; i++) {
		struct peak *peak = &self.peaks[i];
		char unit[24] = "";

		if (peak->count == 0)
			continue;
		if (i != RATE_CONCURRENCY)
			(void)snprintf(unit, sizeof(unit), "/%ds", conf->anvil_rate_time_unit);
		log_info("statistics: max %s %u%s for (%s) at %s", names[i], peak->count, unit,
			 peak->name, time_text(peak->when));
		peak->count = 0;
	}
	if (self.most_clients > 0)
		log_info("statistics: max cache size %zu at %s", self.most_clients,
			 time_text(self.most_clients_when));
	self.most_clients = 0;
}

static void on_report(struct event_timer *timer)
{
	log_peaks();
	event_at(timer, clock_in_ms((int64_t)conf->anvil_status_update_time * 1000), on_report);
}

/* ---- what clients say ---- */

/* "service:client", cut where no honest name would be as long. */
static struct span full_name(char text[NAME_MAX_BYTES], struct span service_name,
			     struct span client)
{
	(void)snprintf(text, NAME_MAX_BYTES, "%.*s:%.*s", SPAN_ARG(service_name), SPAN_ARG(client));
	return span_of(text);
}

static bool count_event(struct connection *from, const struct msg_rate_event *event)
{
	char text[NAME_MAX_BYTES];
	struct span name = full_name(text, event->service, event->client);
	struct msg_rate_count answer;

	if (event->kind >= RATE_KINDS)
		return false;
	answer.count = rates_add(&self.rates, name, (enum rate_kind)event->kind, clock_mono_now());
	note_peak(event->kind, answer.count, name);
	if (rates_clients(&self.rates) > self.most_clients) {
		self.most_clients = rates_clients(&self.rates);
		self.most_clients_when = time(NULL);
	}
	return IPC_SEND(&from->channel, rate_count, &answer, -1, clock_in_ms(0)) == IPC_OK;
}

static bool take_peak(const struct msg_rate_peak *peak)
{
	char text[NAME_MAX_BYTES];

	if (peak->kind >= RATE_PEAKS)
		return false;
	note_peak(peak->kind, peak->count, full_name(text, peak->service, peak->client));
	return true;
}

static bool take_failure(struct connection *from, const struct msg_login_failure *failure)
{
	struct msg_status answer = { .code = bans_note_failure(failure->address) };

	return IPC_SEND(&from->channel, status, &answer, -1, clock_in_ms(0)) == IPC_OK;
}

/* One packet; false when it is none that this client may send. */
static bool take_packet(struct connection *from)
{
	struct msg_rate_event event;
	struct msg_rate_peak peak;
	struct msg_login_failure failure;
	struct msg_ban_watch watch;
	struct msg_ban_command command;

	if (strcmp(from->client, SERVICE_PUBLIC) == 0)
		return IPC_GET(&from->channel, ban_command, &command) &&
		       bans_command(&from->channel, &command);
	if (strcmp(from->client, "smtpd") == 0 &&
	    IPC_GET(&from->channel, login_failure, &failure))
		return take_failure(from, &failure);
	if (strcmp(from->client, "front") == 0 && IPC_GET(&from->channel, ban_watch, &watch)) {
		bans_watch(&from->watcher, &from->channel);
		return true;
	}
	if (IPC_GET(&from->channel, rate_event, &event))
		return count_event(from, &event);
	return IPC_GET(&from->channel, rate_peak, &peak) && take_peak(&peak);
}

static void on_packet(struct event_fd *watch, unsigned events)
{
	struct connection *from = CONTAINER_OF(watch, struct connection, watch);
	enum ipc_status status;

	(void)events;
	while ((status = ipc_recv(&from->channel, clock_in_ms(0))) == IPC_OK) {
		if (take_packet(from))
			continue;
		log_warn("malformed request from a client");
		status = IPC_BROKEN;
		break;
	}
	if (status == IPC_TIMEOUT)
		return;
	event_unwatch(&from->watch);
	bans_unwatch(&from->watcher);
	ipc_close(&from->channel);
	free(from);
}

static void on_connection(int fd, const char *client)
{
	struct connection *from = NEW(struct connection);

	from->client = client;
	list_init(&from->watcher.link);
	ipc_attach(&from->channel, fd);
	event_watch(&from->watch, fd, EPOLLIN, on_packet);
}

static void start(void)
{
	bans_start();
	rates_init(&self.rates, CLIENTS_MAX, (int64_t)conf->anvil_rate_time_unit * 1000);
	event_at(&self.report, clock_in_ms((int64_t)conf->anvil_status_update_time * 1000), on_report);
}

static void on_drain(bool has_successor)
{
	(void)has_successor;
	log_peaks();
	event_stop();
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "anvil",
		.kind = SERVICE_LOOP,
		.prepare = bans_prepare,
		.start = start,
		.on_connection = on_connection,
		.on_drain = on_drain,
	};

	return service_main(argc, argv, &program);
}
