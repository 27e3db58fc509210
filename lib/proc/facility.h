/* SPDX-License-Identifier: MIT */
#ifndef PROC_FACILITY_H
#define PROC_FACILITY_H

/*
 * The number that syslog(3) has for syslog_facility of postconf(5); LOG_MAIL for what is no name of
 * one, which the check of main.cf has refused before.
 */
int facility_number(const char *name);

#endif
