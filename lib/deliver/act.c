/* SPDX-License-Identifier: MIT */
/* How an action went; see act.h. Runs in the process that became the user. */

#include "deliver/act.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ACT_TEXT_MAX = 4096 };

void act_init(struct act *act)
{
	*act = (struct act){ .status = "2.0.0" };
	buf_init(&act->reason, ACT_TEXT_MAX);
	buf_init(&act->diagnostic, ACT_TEXT_MAX);
}

void act_done(struct act *act)
{
	buf_done(&act->reason);
	buf_done(&act->diagnostic);
}

bool act_is_good(const struct act *act)
{
	return act->status[0] == '2';
}

void act_fail(struct act *act, const char *status, int error, const char *format, ...)
{
	va_list args;

	(void)snprintf(act->status, sizeof(act->status), "%s", status);
	buf_reset(&act->reason);
	va_start(args, format);
	(void)buf_vprintf(&act->reason, format, args);
	va_end(args);
	if (error != 0)
		(void)buf_printf(&act->reason, ": %s", strerror(error));
}

const char *act_status_of(int error)
{
	switch (error) {
	case EFBIG: return "5.2.2"; /* mailbox_size_limit: not a fault but a rule */
	case EDQUOT: return "4.2.2";
	case ENOSPC: return "4.3.1";
	case EIO:
	case EROFS:
	case EMFILE:
	case ENFILE:
	case ENOMEM: return "4.3.0";
	default: return "4.2.0";
	}
}

void act_copy_failed(struct act *act, enum message_status status, const char *what)
{
	switch (status) {
	case MESSAGE_OK:
		break;
	case MESSAGE_DAMAGED:
		act_fail(act, "4.3.0", 0, "queue file is damaged");
		break;
	case MESSAGE_READ_ERROR:
		act_fail(act, "4.3.0", errno, "queue file read error");
		break;
	case MESSAGE_WRITE_ERROR:
		act_fail(act, act_status_of(errno), errno, "error writing %s", what);
		break;
	}
}
