/* SPDX-License-Identifier: MIT */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

/*
 * A binary heap of embedded nodes: the first element in O(1), every change in O(log n). The
 * element is found with CONTAINER_OF. Nodes stay where they are; the heap only points to them.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

struct heap_node {
	size_t index; /* private: 1-based, 0 when in no heap */
};

typedef bool heap_before_fn(struct heap_node *a, struct heap_node *b);

struct heap {
	heap_before_fn *is_before;
	struct heap_node **nodes; /* nodes[1] is the first */
	size_t count, room;
};

void heap_init(struct heap *heap, heap_before_fn *is_before);
void heap_done(struct heap *heap);

struct heap_node *heap_first(const struct heap *heap); /* NULL when empty */
bool heap_has(const struct heap_node *node);

/* Adds a node, or puts one that has changed where it belongs now. */
void heap_put(struct heap *heap, struct heap_node *node);

/* Takes it out; harmless when it is in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

#endif
