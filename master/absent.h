/* SPDX-License-Identifier: MIT */
#ifndef MASTER_ABSENT_H
#define MASTER_ABSENT_H

/*
 * What a configuration from Postfix may ask for and this version does not have. A filter that
 * mail would pass by unseen is an error, so that nothing starts before the administrator has
 * decided; where mail is wanted without the filter, or smtpd itself takes none, it is a warning.
 */

#include "master/config.h"

/* What to do about a program of Postfix that is not here, or NULL. */
const char *absent_program(const char *command);

/* Reports the settings of one service that ask for milters, smtpd_proxy_filter or XCLIENT. */
void absent_check(const struct config *config, const struct master_service *service,
		  struct conf_report *report);

#endif
