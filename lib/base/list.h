/* SPDX-License-Identifier: MIT */
#ifndef BASE_LIST_H
#define BASE_LIST_H

/*
 * An intrusive doubly linked ring: a `struct list` as head, one in each element. The element
 * is found with CONTAINER_OF. An element that is in no list has both pointers to itself or NULL.
 */

#include <stdbool.h>

#include "base/compiler.h"

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *list)
{
	list->next = list->prev = list;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->next == list;
}

static inline void list_add_before(struct list *at, struct list *item)
{
	item->next = at;
	item->prev = at->prev;
	at->prev->next = item;
	at->prev = item;
}

static inline void list_append(struct list *head, struct list *item)
{
	list_add_before(head, item);
}

static inline void list_prepend(struct list *head, struct list *item)
{
	list_add_before(head->next, item);
}

/* Takes it out; harmless when it is in no list. */
static inline void list_remove(struct list *item)
{
	if (item->next != NULL) {
		item->prev->next = item->next;
		item->next->prev = item->prev;
	}
	list_init(item);
}

#define LIST_FOR(item, head) for (struct list *item = (head)->next; item != (head); item = item->next)

/* As LIST_FOR; the body may remove `item`, and nothing else. */
#define LIST_FOR_SAFE(item, head) \
	for (struct list *item = (head)->next, *item##_next = item->next; item != (head); \
	     item = item##_next, item##_next = item->next)

#endif
