/* SPDX-License-Identifier: MIT */
/*
 * One TLS session: the handshake, and then a layer under a stream. Runs in who speaks TLS, in its
 * jail, on a descriptor that does not block; whatever would wait is left to the stream, which has
 * the deadline. The peer is not trusted in anything.
 */

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "net/tcp.h"
#include "tls/impl.h"

enum { GOODBYE_MS = 5000 };

struct tls *tls_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

/* ---- the layer ---- */

/* What a call of OpenSSL came to, as read(2) would say it. */
static ssize_t result(struct tls *tls, int done, int is_done, size_t size, short *ret_events)
{
	int saved = errno;

	if (is_done == 1)
		return (ssize_t)size;
	switch (SSL_get_error(tls->ssl, done)) {
	case SSL_ERROR_WANT_READ:
		*ret_events = POLLIN;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_WANT_WRITE:
		*ret_events = POLLOUT;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN: return 0;
	case SSL_ERROR_SYSCALL: errno = saved != 0 ? saved : ECONNRESET; break;
	default: errno = EPROTO;
	}
	ERR_clear_error();
	return -1;
}

static ssize_t layer_read(void *context, char *data, size_t size, short *ret_events)
{
	struct tls *tls = context;
	size_t got = 0;
	int done;

	ERR_clear_error();
	errno = 0;
	done = SSL_read_ex(tls->ssl, data, size, &got);
	return result(tls, done, done, got, ret_events);
}

static ssize_t layer_write(void *context, const char *data, size_t size, short *ret_events)
{
	struct tls *tls = context;
	size_t put = 0;
	int done;

	ERR_clear_error();
	errno = 0;
	done = SSL_write_ex(tls->ssl, data, size, &put);
	/* Tickets may still be on their way when the client goes on. */
	if (done == 1 && !tls->has_spoken && tls->context->settings.role == TLS_CLIENT) {
		tcp_acknowledge_at_once(tls->stream->fd);
		tls->has_spoken = true;
	}
	return result(tls, done, done, put, ret_events);
}

static void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	SSL_SESSION_free(tls->session);
	for (size_t i = 0; i < ARRAY_LEN(tls->texts); i++)
		free(tls->texts[i]);
	free(tls);
}

/* Says goodbye, and hears the peer's, until the stream's deadline or GOODBYE_MS: what comes before it is lost. */
static void close_slowly(struct tls *tls)
{
	struct clock_mono latest = clock_in_ms(GOODBYE_MS);
	enum io_status status = tls->stream->status;
	bool is_said = false;
	char room[4096];
	size_t size;

	if (tls->stream->deadline.us > latest.us)
		stream_set_deadline(tls->stream, latest);
	while (status == IO_OK && !clock_is_past(tls->stream->deadline)) {
		int done;

		ERR_clear_error();
		done = is_said ? SSL_read_ex(tls->ssl, room, sizeof(room), &size)
			       : SSL_shutdown(tls->ssl);
		if (done == 1 && !is_said)
			return;
		if (done == 0 && !is_said)
			is_said = true;
		else if (done != 1 && SSL_get_error(tls->ssl, done) == SSL_ERROR_WANT_READ)
			status = stream_wait(tls->stream, POLLIN);
		else if (done != 1 && SSL_get_error(tls->ssl, done) == SSL_ERROR_WANT_WRITE)
			status = stream_wait(tls->stream, POLLOUT);
		else if (done != 1)
			return;
	}
}

/* Says goodbye; waits for the answer only without tls_fast_shutdown_enable. */
static void layer_close(void *context)
{
	struct tls *tls = context;

	if (SSL_is_init_finished(tls->ssl) && conf->tls_fast_shutdown_enable)
		(void)SSL_shutdown(tls->ssl);
	else if (SSL_is_init_finished(tls->ssl))
		close_slowly(tls);
	ERR_clear_error();
	tls_free(tls);
}

static const struct stream_layer layer = { layer_read, layer_write, layer_close };

/* ---- starting ---- */

static void use_saved(SSL *ssl, struct span saved)
{
	const unsigned char *at = (const unsigned char *)saved.p;
	SSL_SESSION *session = saved.n > 0 ? d2i_SSL_SESSION(NULL, &at, (long)saved.n) : NULL;

	/* One that is of no use means a full handshake. */
	if (session != NULL)
		(void)SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
	ERR_clear_error();
}

static bool use_dane(SSL *ssl, const struct tls_options *options, struct buf *ret_error)
{
	if (options->dane_name == NULL)
		return true;
	if (SSL_dane_enable(ssl, options->dane_name) != 1) {
		tls_error(ret_error, "DANE");
		return false;
	}
	if (options->dane_domain != NULL && SSL_add1_host(ssl, options->dane_domain) != 1)
		ERR_clear_error();
	(void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	/* Records that cannot be used are not: RFC 7671 4. */
	for (size_t i = 0; i < options->dane_count; i++) {
		const struct tls_dane *record = &options->dane[i];

		(void)SSL_dane_tlsa_add(ssl, record->usage, record->selector, record->matching,
					(const unsigned char *)record->data.p, record->data.n);
	}
	ERR_clear_error();
	return true;
}

/* OpenSSL copies it, but takes it without const. */
static bool set_server_name(SSL *ssl, const char *name)
{
	char *copy = mem_dup_str(name);
	bool is_set = SSL_set_tlsext_host_name(ssl, copy) == 1;

	free(copy);
	return is_set;
}

static bool set_options(SSL *ssl, const struct tls_options *options, struct buf *ret_error)
{
	if (options->limits != NULL && !tls_set_limits(NULL, ssl, options->limits, ret_error))
		return false;
	if (!use_dane(ssl, options, ret_error))
		return false;
	if (options->server_name != NULL && !set_server_name(ssl, options->server_name)) {
		tls_error(ret_error, "server name");
		return false;
	}
	if (options->files != NULL && SSL_set1_verify_cert_store(ssl, options->files->trust) != 1) {
		tls_error(ret_error, "cannot use other authorities");
		return false;
	}
	use_saved(ssl, options->saved_session);
	return true;
}

struct tls *tls_new(struct tls_context *context, const struct tls_options *options,
		    struct buf *ret_error)
{
	struct tls *tls = NEW(struct tls);

	tls->context = context;
	tls->ssl = SSL_new(context->ssl);
	if (tls->ssl == NULL) {
		tls_error(ret_error, "OpenSSL");
		tls_free(tls);
		return NULL;
	}
	SSL_set_app_data(tls->ssl, tls);
	if (options != NULL && !set_options(tls->ssl, options, ret_error)) {
		tls_free(tls);
		return NULL;
	}
	if (context->settings.role == TLS_SERVER)
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	return tls;
}

/* "error:0A00010B:SSL routines::wrong version number:FILE:LINE:", as scripts know it. */
static void put_library_problem(struct buf *ret_error)
{
	const char *file = "", *data = "";
	int line = 0, flags = 0;
	unsigned long code = ERR_peek_error_all(&file, &line, NULL, &data, &flags);
	char text[256];

	ERR_error_string_n(code, text, sizeof(text));
	(void)buf_printf(ret_error, "%s%s:%s:%d:%s", TLS_LIBRARY_PROBLEM, text, file, line,
			 (flags & ERR_TXT_STRING) != 0 ? data : "");
}

/* Why the handshake came to nothing. */
static void explain(const struct tls *tls, enum io_status status, int error, int saved,
		    struct buf *ret_error)
{
	if (tls->has_find_failed)
		(void)buf_text(ret_error, "no certificates for the server name that was asked for");
	else if (status == IO_TIMEOUT)
		(void)buf_text(ret_error, "Connection timed out");
	else if (error == SSL_ERROR_SYSCALL || status != IO_OK)
		(void)buf_printf(ret_error, "%s",
				 saved == 0 ? "lost connection" : strerror(saved));
	else
		put_library_problem(ret_error);
	ERR_clear_error();
}

static bool handshake(struct tls *tls, struct stream *stream, struct buf *ret_error)
{
	for (;;) {
		enum io_status status = IO_OK;
		int done, error, saved;

		ERR_clear_error();
		errno = 0;
		done = SSL_do_handshake(tls->ssl);
		saved = errno;
		if (done == 1)
			return true;
		error = SSL_get_error(tls->ssl, done);
		if (error == SSL_ERROR_WANT_READ)
			status = stream_wait(stream, POLLIN);
		else if (error == SSL_ERROR_WANT_WRITE)
			status = stream_wait(stream, POLLOUT);
		else if (error == SSL_ERROR_SYSCALL && saved == EINTR)
			continue;
		else
			status = IO_EOF;
		if (status == IO_OK)
			continue;
		explain(tls, status == IO_EOF ? IO_OK : status, error, saved, ret_error);
		return false;
	}
}

static void fill_info(struct tls *tls)
{
	struct tls_info *info = &tls->info;

	info->protocol = SSL_get_version(tls->ssl);
	info->cipher = SSL_get_cipher_name(tls->ssl);
	info->bits = SSL_get_cipher_bits(tls->ssl, &info->algorithm_bits);
	info->was_resumed = SSL_session_reused(tls->ssl) == 1;
	info->server_name = tls->server_name;
	tls_describe_peer(tls);
}

bool tls_start(struct tls *tls, struct stream *stream, struct buf *ret_error)
{
	enum io_status status = stream_flush(stream);

	stream_set_layer(stream, &layer, tls);
	tls->stream = stream;
	if (status != IO_OK) {
		(void)buf_text(ret_error, status == IO_TIMEOUT ? "timeout" : "lost connection");
		return false;
	}
	if (SSL_set_fd(tls->ssl, stream->fd) != 1) {
		tls_error(ret_error, "OpenSSL");
		return false;
	}
	if (!handshake(tls, stream, ret_error))
		return false;
	/* Session tickets: a server may not go on before it knows that they have arrived. */
	if (tls->context->settings.role == TLS_CLIENT)
		tcp_acknowledge_at_once(stream->fd);
	fill_info(tls);
	return true;
}

const struct tls_info *tls_info(const struct tls *tls)
{
	return &tls->info;
}

bool tls_save_session(const struct tls *tls, struct buf *out)
{
	unsigned char *der = NULL;
	int size;

	if (tls->session == NULL || SSL_SESSION_is_resumable(tls->session) != 1)
		return false;
	size = i2d_SSL_SESSION(tls->session, &der);
	if (size > 0)
		(void)buf_append(out, der, (size_t)size);
	OPENSSL_clear_free(der, size > 0 ? (size_t)size : 0);
	return size > 0;
}
