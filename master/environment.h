/* SPDX-License-Identifier: MIT */
#ifndef MASTER_ENVIRONMENT_H
#define MASTER_ENVIRONMENT_H

/*
 * Leaves of this process's environment what `names` lists, as NAME, or sets it, as NAME=value or
 * { NAME = value }: import_environment of postconf(5). PATH is always the system's own unless it is
 * listed, and NOTIFY_SOCKET stays, for the service manager.
 */
void environment_import(const char *names);

#endif
