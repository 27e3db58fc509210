/* SPDX-License-Identifier: MIT */
#ifndef POSTLOGD_SYSLOG_H
#define POSTLOGD_SYSLOG_H

struct log_record;

/*
 * Lines to the syslog daemon's socket, /dev/log, in the form of syslog(3) with syslog_facility. They are
 * collected by syslog_add() and go out, several to a system call, by syslog_flush() or when there are
 * many. A daemon that is slow is waited for, a second at most; then lines are lost until it
 * takes one again. One that was restarted is found again, without losing a line.
 */
void syslog_open(void);
void syslog_add(const struct log_record *record);
void syslog_flush(void);

#endif
