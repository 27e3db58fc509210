/* SPDX-License-Identifier: MIT */
#ifndef PROXYMAP_COPIES_H
#define PROXYMAP_COPIES_H

/*
 * Copies of database files that this uid may not read: a table of passwords is often readable for root
 * alone, and in Postfix its user opens it as root. The template makes them before its jail, of files that
 * the configuration names, and answers from a copy only those programs whose parameters name it. A new
 * file makes a new generation, and that new copies.
 */

/* In prepare(), as root. What cannot be copied is in the log, and stays unreadable. */
void copies_prepare(void);

/* The program that is served now; its name is borrowed. */
void copies_serve(const char *client);

/*
 * A descriptor of the copy of that file, to be closed by the caller; -1 with errno when there is none,
 * or none for the program that is served. For table_settings.open_private.
 */
int copies_open(const char *path);

#endif
