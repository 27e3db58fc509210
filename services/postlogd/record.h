/* SPDX-License-Identifier: MIT */
#ifndef POSTLOGD_RECORD_H
#define POSTLOGD_RECORD_H

#include "base/buf.h"
#include "base/clock.h"

/* One record of base/log.h, taken apart; spans are borrowed. */
struct log_record {
	struct clock_wall when;
	char severity;      /* i w e f p */
	struct span source; /* TAG[PID] */
	struct span text;
};

/* Parses a record without its line end. False for anything else; never takes a control character. */
MUST_USE bool log_record_parse(struct span line, struct log_record *ret);

/*
 * Appends it as a line of a log file: "Nov 21 22:41:41 host postfix/smtpd[7]: warning: text". Without
 * a host, which may be NULL, it has the form that syslog(3) sends.
 */
void log_record_format(struct buf *out, const struct log_record *record, const char *host);

#endif
