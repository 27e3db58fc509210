/* SPDX-License-Identifier: MIT */
#ifndef IPC_OAUTH_H
#define IPC_OAUTH_H

/*
 * Asking the service "oauth", which policyfetch serves, for an access token: token_query, answered by
 * token_answer after OAUTH_QUERY_MS at the latest. Who was refused with a token asks again and says
 * which it was; when the same comes back, there is no better one.
 */

enum { OAUTH_QUERY_MS = 70 * 1000 };

#endif
