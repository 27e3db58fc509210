/* SPDX-License-Identifier: MIT */
#ifndef MASTER_DATABASES_H
#define MASTER_DATABASES_H

struct config;
struct conf_snapshot;

/*
 * Tells proxymap, as "databases" in its snapshot, which database files the configuration names, and for
 * which programs: lines of "PROGRAMS PATH", where PROGRAMS are bits 1 << enum conf_program. It copies
 * those that only root can read (a table of passwords, say) before its jail, and answers from them to
 * these programs alone.
 */
void databases_add(const struct config *config, struct conf_snapshot *snapshot);

#endif
