/* SPDX-License-Identifier: MIT */
#ifndef MASTER_SECRET_H
#define MASTER_SECRET_H

/*
 * What qmgr proves its deliveries with (deliver_token_is_good() in qmgr/deliver.c). An agent may
 * report to a qmgr under the next master, so the secret is kept in pid/delivery.secret beneath
 * the queue directory, which only master's uid can read; a missing or damaged one is made anew.
 */

enum { SECRET_SIZE = 33 };

/* Fills `ret_secret` with text. What cannot be read or written is fatal. */
void secret_load(const char *queue_directory, char ret_secret[SECRET_SIZE]);

#endif
