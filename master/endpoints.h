/* SPDX-License-Identifier: MIT */
#ifndef MASTER_ENDPOINTS_H
#define MASTER_ENDPOINTS_H

/*
 * What a jailed daemon may reach because the configuration says so, and for no other reason.
 */

#include "master/config.h"

/* Tells the connect service which servers the configuration names. */
void endpoints_add(const struct config *config, struct conf_snapshot *snapshot);

/* Whether a service is the best_mx_transport of some client, which may then call it. */
bool endpoints_is_best_mx(const struct config *config, const struct master_service *service);

#endif
