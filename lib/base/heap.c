/* SPDX-License-Identifier: MIT */
/* Binary heap of embedded nodes; see heap.h. */

#include "base/heap.h"

#include <stdlib.h>

#include "base/mem.h"

void heap_init(struct heap *heap, heap_before_fn *is_before)
{
	*heap = (struct heap){ .is_before = is_before };
}

void heap_done(struct heap *heap)
{
	free(heap->nodes);
	heap->nodes = NULL;
	heap->count = heap->room = 0;
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count > 0 ? heap->nodes[1] : NULL;
}

bool heap_has(const struct heap_node *node)
{
	return node->index != 0;
}

static void place(struct heap *heap, size_t index, struct heap_node *node)
{
	heap->nodes[index] = node;
	node->index = index;
}

/* Moves `node` from the hole at `index` to where it belongs. */
static void sift(struct heap *heap, size_t index, struct heap_node *node)
{
	while (index > 1 && heap->is_before(node, heap->nodes[index / 2])) {
		place(heap, index, heap->nodes[index / 2]);
		index /= 2;
	}
	for (;;) {
		size_t child = index * 2;

		if (child > heap->count)
			break;
		if (child < heap->count &&
		    heap->is_before(heap->nodes[child + 1], heap->nodes[child]))
			child++;
		if (!heap->is_before(heap->nodes[child], node))
			break;
		place(heap, index, heap->nodes[child]);
		index = child;
	}
	place(heap, index, node);
}

void heap_put(struct heap *heap, struct heap_node *node)
{
	size_t index = node->index;

	if (index == 0) {
		if (heap->count + 2 > heap->room) {
			heap->room = heap->room > 0 ? heap->room * 2 : 16;
			heap->nodes = mem_resize(heap->nodes, heap->room * sizeof(*heap->nodes));
		}
		index = ++heap->count;
	}
	sift(heap, index, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	size_t index = node->index;

	if (index == 0)
		return;
	node->index = 0;

	struct heap_node *last = heap->nodes[heap->count--];

	if (last != node)
		sift(heap, index, last);
}
