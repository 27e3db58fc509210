/* SPDX-License-Identifier: MIT */
#ifndef MAIL_LOG_ADDRESS_H
#define MAIL_LOG_ADDRESS_H

#include "base/span.h"

/*
 * An address, in internal form, as log lines have it between "from=<" and ">": as in SMTP, with
 * quotes where the grammar wants them, or as it is with info_log_address_format = internal. What is
 * not printable becomes "?". The result lives until the eighth log_clean() or log_address() from now.
 */
const char *log_address(struct span address);

#endif
