/* SPDX-License-Identifier: MIT */
#ifndef IPC_TABLE_CLIENT_H
#define IPC_TABLE_CLIENT_H

/*
 * Tables that this process cannot read itself, asked through proxymap(8): table/table.h calls
 * this by table_set_proxy(). One connection a process, opened at the first question and again
 * when it was lost. A proxymap that does not answer is a temporary error of the table.
 */

enum table_verb {
	TABLE_VERB_LOOKUP = 1,
	TABLE_VERB_PUT,
	TABLE_VERB_REMOVE,
	TABLE_VERB_FIRST,
	TABLE_VERB_NEXT,
};

/*
 * From now on tables behind the proxy work; call it in prepare(), before tables are opened. When
 * a file that this program reads itself changes later, a new generation is asked for.
 */
void table_client_setup(void);

/* In a daemon: all table_setup() wants of `conf`, and warnings to the log; `open_private` may be NULL. */
void table_client_settings(int (*open_private)(const char *path));

#endif
