/* SPDX-License-Identifier: MIT */
/*
 * The certificates of each service, as master.cf and main.cf name them; see keysign.h. Files are watched,
 * and looked at once a minute besides, for what inotify cannot see.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/event.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/snapshot.h"
#include "keysign.h"
#include "tls/signed_text.h"

enum { SOURCES_MAX = 3, SETTLE_MS = 500, LOOK_MS = 60 * 1000, DAY_MS = 86400 * 1000, PAUSE_MS = 20,
       PAIRS_BYTES_MAX = 120 * 1024 };

struct set {
	char *text;
	enum tls_role role;
	struct pair_source *sources[SOURCES_MAX];
	size_t source_count;
	struct span names_list;   /* tls_server_sni_maps */
	struct name_table *names; /* the same in all sets with that list */
	uint64_t version;
};

static struct {
	struct set *sets;
	size_t count;
	uint64_t last_version;
	int inotify;
	struct event_fd watch;
	struct event_timer settle, look, day, names;
	/* How far the warnings about certificates in tables have come. */
	size_t warned_sets;
	struct name_entry *next_name;
} self = { .inotify = -1 };

/* ---- the list ---- */

static void add_source(struct set *set, struct span paths, struct span more, bool is_list)
{
	struct pair_source *source;

	if (paths.n == 0 || span_is(paths, "none"))
		return;
	source = source_new(more, paths, is_list);
	if (source != NULL)
		set->sources[set->source_count++] = source;
}

/* The first of the sets with these tables. */
static struct set *first_with_names(struct span list)
{
	struct set *set = self.sets;

	while (!span_eq(set->names_list, list))
		set++;
	return set;
}

static void add_set(struct span line)
{
	struct set *first;
	struct set *set;
	char *text = mem_dup(line);
	struct tls_file_spans files;

	if (!tls_file_names_parse(span_of(text), &files))
		fatal("master's snapshot: bad names of TLS files: %s", text);
	self.sets = mem_resize(self.sets, (self.count + 1) * sizeof(*self.sets));
	set = &self.sets[self.count++];
	*set = (struct set){ .text = text, .role = files.role };
	if (files.chain_files.n > 0) {
		add_source(set, files.chain_files, SPAN(""), true);
	} else {
		add_source(set, files.cert, files.key, false);
		add_source(set, files.eccert, files.eckey, false);
		add_source(set, files.dcert, files.dkey, false);
	}
	set->names_list = files.sni_maps;
	first = first_with_names(files.sni_maps);
	set->names = first == set ? names_read(files.sni_maps) : first->names;
}

/* The directories of all files: a new one often replaces the old under its name. */
static void watch_files(void)
{
	self.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	for (size_t i = 0; self.inotify >= 0 && i < opener_count(); i++) {
		char *path = mem_dup_str(opener_path(i)), *slash = strrchr(path, '/');

		if (slash != NULL)
			*(slash == path ? slash + 1 : slash) = '\0';
		(void)inotify_add_watch(self.inotify, slash != NULL ? path : ".",
					IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB);
		free(path);
	}
}

void sets_prepare(void)
{
	struct span rest = { NULL, 0 }, line;

	(void)conf_snapshot_extra_get("tls_files", &rest);
	while (span_line(&rest, &line))
		if (line.n > 0)
			add_set(line);
	watch_files();
}

/* ---- reading ---- */

static void load_all(void)
{
	for (size_t i = 0; i < self.count; i++) {
		struct set *set = &self.sets[i];
		bool is_new = false;

		for (size_t k = 0; k < set->source_count; k++)
			is_new |= source_load(set->sources[k]);
		if (!is_new && set->version != 0)
			continue;
		/* Never one that an earlier generation has used. */
		self.last_version = (uint64_t)clock_wall_now().us > self.last_version
					    ? (uint64_t)clock_wall_now().us
					    : self.last_version + 1;
		set->version = self.last_version;
	}
}

static void on_settled(struct event_timer *timer)
{
	(void)timer;
	load_all();
}

/* A pair is two files, and a writer needs a moment for each. */
static void on_inotify(struct event_fd *watch, unsigned events)
{
	_Alignas(struct inotify_event) char raw[4096];

	(void)events;
	while (read(watch->fd, raw, sizeof(raw)) > 0)
		;
	event_at(&self.settle, clock_in_ms(SETTLE_MS), on_settled);
}

static void on_look(struct event_timer *timer)
{
	load_all();
	event_at(timer, clock_in_ms(LOOK_MS), on_look);
}

/* Of several services with the same tables one is enough. */
static void begin_names(void)
{
	while (self.warned_sets < self.count &&
	       first_with_names(self.sets[self.warned_sets].names_list) !=
		       &self.sets[self.warned_sets])
		self.warned_sets++;
	if (self.warned_sets < self.count)
		self.next_name = names_first(self.sets[self.warned_sets].names);
}

/* In between others are served. */
static void on_names(struct event_timer *timer)
{
	self.next_name = names_warn_of_end(self.next_name);
	if (self.next_name == NULL) {
		self.warned_sets++;
		begin_names();
	}
	if (self.warned_sets < self.count)
		event_at(timer, clock_in_ms(PAUSE_MS), on_names);
}

static void on_day(struct event_timer *timer)
{
	for (size_t i = 0; i < self.count; i++)
		for (size_t k = 0; k < self.sets[i].source_count; k++)
			source_warn_of_end(self.sets[i].sources[k]);
	self.warned_sets = 0;
	begin_names();
	event_at(&self.names, clock_in_ms(PAUSE_MS), on_names);
	event_at(timer, clock_in_ms(DAY_MS), on_day);
}

void sets_start(void)
{
	if (self.count == 0)
		return;
	if (self.inotify >= 0)
		event_watch(&self.watch, self.inotify, EPOLLIN, on_inotify);
	load_all();
	on_look(&self.look);
	on_day(&self.day);
}

/* ---- answers ---- */

static const struct set *find_set(struct span text, enum tls_role role)
{
	for (size_t i = 0; i < self.count; i++)
		if (self.sets[i].role == role && span_is(text, self.sets[i].text))
			return &self.sets[i];
	return NULL;
}

/* All of a set, or nothing: a server without the key that it was given is not what was meant. */
static bool encode_set(const struct set *set, struct buf *out, struct buf *ret_error)
{
	for (size_t i = 0; i < set->source_count; i++) {
		const struct pair_source *source = set->sources[i];

		if (source->chains == NULL) {
			(void)buf_add(ret_error, buf_span(&source->problem));
			return false;
		}
		if (!tls_chains_encode(source->chains, out)) {
			(void)buf_text(ret_error, "the certificates are too big");
			return false;
		}
	}
	return true;
}

static void answer_name(const struct set *set, struct span name, struct msg_tls_answer *answer,
			struct buf *pairs, struct buf *error)
{
	bool has_failed;
	struct tls_chains *chains = names_find(set->names, name, &has_failed);

	answer->result = KEYSIGN_GIVES;
	if (chains == NULL)
		answer->result = has_failed ? KEYSIGN_CANNOT : KEYSIGN_HAS_NONE;
	else if (!tls_chains_encode(chains, pairs))
		answer->result = KEYSIGN_CANNOT;
	if (answer->result == KEYSIGN_CANNOT)
		(void)buf_text(error, "the entry in tls_server_sni_maps cannot be used");
}

void sets_answer(const struct msg_tls_request *request, enum tls_role role,
		 struct ipc_channel *channel, bool *ret_is_sent)
{
	const struct set *set = find_set(request->files, role);
	struct buf pairs = BUF_INIT(PAIRS_BYTES_MAX), error = BUF_INIT(1000);
	struct msg_tls_answer answer = { .result = KEYSIGN_CANNOT };

	if (role == TLS_SERVER)
		answer.tickets = tickets_now();
	if (set == NULL) {
		answer.result = KEYSIGN_KNOWS_NOT;
		(void)buf_text(&error, "the configuration names no such files");
	} else if (request->server_name.n > 0) {
		answer_name(set, request->server_name, &answer, &pairs, &error);
	} else if (set->version == request->version) {
		answer.result = KEYSIGN_HAS_SAME;
	} else if (encode_set(set, &pairs, &error)) {
		answer.result = KEYSIGN_GIVES;
		answer.version = set->version;
	}
	answer.pairs = buf_span(&pairs);
	answer.error = buf_span(&error);
	*ret_is_sent = IPC_SEND(channel, tls_answer, &answer, -1, clock_in_ms(0)) == IPC_OK;
	buf_done(&pairs);
	buf_done(&error);
}

static const struct tls_chains *find_key(struct span id, enum tls_role role)
{
	for (size_t i = 0; i < self.count; i++) {
		const struct set *set = &self.sets[i];
		const struct tls_chains *found;

		if (set->role != role)
			continue;
		for (size_t k = 0; k < set->source_count; k++) {
			const struct pair_source *source = set->sources[k];

			if (source->chains != NULL && tls_chains_has(source->chains, id))
				return source->chains;
			if (source->previous != NULL && tls_chains_has(source->previous, id))
				return source->previous;
		}
		found = names_find_key(set->names, id);
		if (found != NULL)
			return found;
	}
	return NULL;
}

bool sets_sign(const struct msg_sign_request *request, enum tls_role role,
	       struct buf *ret_signature, struct buf *ret_error)
{
	const struct tls_chains *chains = find_key(request->key, role);
	char digest[32];
	bool is_signed = false;

	if (!signed_text_is_tls(request->text, role)) {
		log_warn("refused to sign what is no part of a TLS handshake");
		(void)buf_text(ret_error, "this is no part of a TLS handshake");
		return false;
	}
	if (chains == NULL || request->digest.n >= sizeof(digest)) {
		(void)buf_text(ret_error, "no such key");
		return false;
	}
	memcpy(digest, request->digest.p, request->digest.n);
	digest[request->digest.n] = '\0';
	is_signed = tls_chains_sign(chains, request->key, (enum tls_padding)request->padding, digest,
				    request->text, ret_signature, ret_error);
	if (!is_signed)
		log_warn("%s", log_clean(buf_span(ret_error)));
	return is_signed;
}
