/* SPDX-License-Identifier: MIT */
/* Allocation that never returns NULL, and arenas; see mem.h. */

#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"

void *mem_alloc(size_t size)
{
	void *memory = calloc(1, size > 0 ? size : 1);

	if (memory == NULL)
		fatal("out of memory: %zu bytes", size);
	return memory;
}

void *mem_array(size_t count, size_t size)
{
	void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);

	if (memory == NULL)
		fatal("out of memory: %zu times %zu bytes", count, size);
	return memory;
}

void *mem_resize(void *old, size_t size)
{
	void *memory = realloc(old, size > 0 ? size : 1);

	if (memory == NULL)
		fatal("out of memory: %zu bytes", size);
	return memory;
}

void *mem_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	return memory;
}

char *mem_dup(struct span s)
{
	char *copy = mem_resize(NULL, s.n + 1);

	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

char *mem_dup_str(const char *text)
{
	return mem_dup(span_of(text));
}

char *mem_printf(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		fatal("out of memory");
	va_end(args);
	return text;
}

enum { HOLE_MAX = 32768, HOLE_SMALL = 1024, HOLE_MIN = 16 };

/*
 * Chunks of each size are taken until they come from behind everything else. They are chained, so that
 * they count as used.
 */
void mem_fill_holes(void)
{
	static void *holes;
	struct mallinfo2 info = mallinfo2();
	const char *top = sbrk(0);

	/* Another allocator (a sanitizer's) does not say where it keeps things. */
	if (info.arena == 0 || info.keepcost == 0)
		return;
	top -= info.keepcost;
	for (size_t size = HOLE_MAX; size >= HOLE_MIN; size -= size > HOLE_SMALL ? size / 2 : 16) {
		for (;;) {
			void **hole = malloc(size);
			bool is_behind = hole == NULL || (const char *)hole >= top;

			/* A small one that is freed would be a hole again. */
			if (is_behind && size > HOLE_SMALL) {
				free(hole);
				break;
			}
			if (hole != NULL) {
				*hole = holes;
				holes = hole;
			}
			if (is_behind)
				break;
		}
	}
}

void mem_give_back(void)
{
	(void)malloc_trim(0);
}

enum { BLOCK_BYTES = 4096 - 64 };

struct arena_block {
	struct arena_block *next;
	size_t size;
	_Alignas(max_align_t) char memory[];
};

void arena_done(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct arena_block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
	arena->used = 0;
}

void arena_reset(struct arena *arena)
{
	if (arena->blocks == NULL)
		return;
	while (arena->blocks->next != NULL) {
		struct arena_block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
	if (arena->blocks->size > BLOCK_BYTES)
		arena_done(arena);
	arena->used = 0;
}

/* Uninitialised memory. */
static void *arena_take(struct arena *arena, size_t size)
{
	size_t align = _Alignof(max_align_t);
	size_t rounded = (size + align - 1) / align * align;

	if (rounded < size)
		fatal("out of memory: %zu bytes", size);
	if (arena->blocks == NULL || arena->blocks->size - arena->used < rounded) {
		size_t block_size = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
		struct arena_block *block = mem_resize(NULL, sizeof(*block) + block_size);

		block->next = arena->blocks;
		block->size = block_size;
		arena->blocks = block;
		arena->used = 0;
	}

	void *memory = arena->blocks->memory + arena->used;

	arena->used += rounded;
	return memory;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	void *memory = arena_take(arena, size);

	memset(memory, 0, size);
	return memory;
}

char *arena_str(struct arena *arena, struct span s)
{
	char *copy = arena_take(arena, s.n + 1);

	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

struct span arena_span(struct arena *arena, struct span s)
{
	return (struct span){ arena_str(arena, s), s.n };
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);

	int size = vsnprintf(NULL, 0, format, args);

	va_end(args);
	if (size < 0)
		panic("arena_printf: bad format %s", format);

	char *text = arena_take(arena, (size_t)size + 1);

	(void)vsnprintf(text, (size_t)size + 1, format, again);
	va_end(again);
	return text;
}
