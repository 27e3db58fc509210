/* SPDX-License-Identifier: MIT */
/*
 * Dates; see date.h. Runs everywhere, on times of our own. The names are written out here since
 * strftime's depend on the locale. RFC 5322 3.3.
 */

#include "mail/date.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};

static struct tm local_time(struct clock_wall when)
{
	time_t seconds = (time_t)(when.us / 1000000);
	struct tm tm = { 0 };

	(void)localtime_r(&seconds, &tm);
	return tm;
}

struct span date_rfc5322(struct clock_wall when, char text[DATE_SIZE])
{
	struct tm tm = local_time(when);
	long minutes = labs(tm.tm_gmtoff) / 60;
	int n = snprintf(text, DATE_SIZE, "%s, %02d %s %d %02d:%02d:%02d %c%02ld%02ld (%.16s)",
			 days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
			 tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_gmtoff < 0 ? '-' : '+',
			 minutes / 60, minutes % 60, tm.tm_zone != NULL ? tm.tm_zone : "");

	return (struct span){ text, n > 0 && n < DATE_SIZE ? (size_t)n : 0 };
}

struct span date_ctime(struct clock_wall when, char text[DATE_SIZE])
{
	struct tm tm = local_time(when);
	int n = snprintf(text, DATE_SIZE, "%s %s %2d %02d:%02d:%02d %d", days[tm.tm_wday],
			 months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
			 tm.tm_year + 1900);

	return (struct span){ text, n > 0 && n < DATE_SIZE ? (size_t)n : 0 };
}
