/* SPDX-License-Identifier: MIT */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

/*
 * Tells the service manager that started us (systemd, Type=notify) of a change: "READY=1",
 * "STOPPING=1". Without $NOTIFY_SOCKET nobody wants to know, and nothing happens. sd_notify(3).
 */
void notify_manager(const char *state);

#endif
