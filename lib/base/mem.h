/* SPDX-License-Identifier: MIT */
#ifndef BASE_MEM_H
#define BASE_MEM_H

/* Memory that is there or ends the program: running out is fatal(), see base/log.h. */

#include "base/span.h"

void *mem_alloc(size_t size); /* zeroed */
void *mem_array(size_t count, size_t size); /* zeroed; the product is checked */
void *mem_resize(void *old, size_t size);
void *mem_shared(size_t size); /* zeroed; one memory for this process and all it forks; never freed */
char *mem_dup(struct span s); /* as a C string; the caller frees */
char *mem_dup_str(const char *text);
char *mem_printf(const char *format, ...) PRINTF_LIKE(1, 2);

/*
 * Gives what is free, in whole pages, back to the system: where a process is about to wait for long. It costs
 * some ten microseconds.
 */
void mem_give_back(void);

/*
 * Uses up what is free between things that stay, so that what is allocated from here on is close together.
 * Before forking: a child then writes to few pages, instead of copying many that it shares.
 */
void mem_fill_holes(void);

#define NEW(type) ((type *)mem_alloc(sizeof(type)))

/*
 * An arena: memory that is given back all at once. arena_reset keeps one block for the next
 * round. Everything got from it is borrowed until then. Never put what must be closed into it.
 */
struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used; /* of the newest */
};

void arena_done(struct arena *arena);
void arena_reset(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t size); /* zeroed, aligned for any type */
struct span arena_span(struct arena *arena, struct span s); /* a copy, NUL behind it */
char *arena_str(struct arena *arena, struct span s);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
