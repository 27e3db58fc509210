/* SPDX-License-Identifier: MIT */
#ifndef PROC_PASS_H
#define PROC_PASS_H

/*
 * Services of type pass (master(5)): whoever connects passes one connection, over a UNIX stream, in
 * the form of Postfix's postscreen(8):
 *
 *     one byte, any, with the descriptor (SCM_RIGHTS)
 *     name NUL value NUL, for each attribute
 *     NUL
 *
 * The attributes may say who the client is when that is not the descriptor's peer: all of
 * client_address, client_port, server_address, server_port, or none. Other names mean nothing.
 */

#include "base/buf.h"
#include "base/clock.h"

enum { PASS_BYTES_MAX = 2048 };

struct passed {
	struct buf text; /* the attributes; the spans point here */
	/* Checked addresses and port numbers; all of length 0 when they were not given. */
	struct span client_addr, client_port, server_addr, server_port;
};

/*
 * Takes what is passed over `connection`, and closes that; the peer has five seconds. The
 * descriptor, which is the caller's; or -1 with the reason in *ret_problem, a constant, and nothing
 * in `ret`. pass_done() frees *ret in either case.
 */
MUST_USE int pass_take(int connection, struct passed *ret, const char **ret_problem);
void pass_done(struct passed *passed);

/* The attributes alone, of which *ret is borrowed: false when they have another form. */
MUST_USE bool pass_parse(struct span text, struct passed *ret);

#endif
