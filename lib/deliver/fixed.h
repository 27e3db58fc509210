/* SPDX-License-Identifier: MIT */
#ifndef DELIVER_FIXED_H
#define DELIVER_FIXED_H

/* Agents that look at no message and give every recipient the same outcome. */

/*
 * main() of such an agent. The next hop is the outcome, "5.1.2 text"; its class is what
 * `status_class` says ('2', '4' or '5'), whatever the code begins with.
 */
int fixed_main(int argc, char **argv, const char *name, char (*status_class)(void));

#endif
