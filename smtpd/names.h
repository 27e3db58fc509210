/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_NAMES_H
#define SMTPD_NAMES_H

#include "base/span.h"

/*
 * Whether mail could be sent to a domain, by its MX and address records. It counts as such when
 * smtpd_dns_reply_filter leaves none of them: the log says so.
 */
enum name_result { NAME_RECEIVES, NAME_UNKNOWN, NAME_NULL_MX, NAME_TEMPORARY };

enum name_result name_can_receive(struct span domain);

#endif
