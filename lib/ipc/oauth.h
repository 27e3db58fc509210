/* SPDX-License-Identifier: MIT */
#ifndef IPC_OAUTH_H
#define IPC_OAUTH_H

/*
 * Asking the service "oauth", which policyfetch serves, for an access token: token_query, answered by
 * token_answer; or first by token_wait, when the token endpoint has to be asked, and by the answer within
 * OAUTH_FETCH_MS from then. Who was refused with a token asks again and says which it was; when the same
 * comes back, there is no better one.
 */

enum { OAUTH_FETCH_MS = 70 * 1000 };

#endif
