/*
 * A circle through the list's own head: no special case for the first, the last or the only one.
 */
#include "server/net/deadline.h"

#include <stddef.h>

void deadline_list_init(struct deadline_list *l)
{
    l->head = (struct deadline){&l->head, &l->head, 0};
}

void deadline_join(struct deadline_list *l, struct deadline *d, uint64_t now_mono_us)
{
    struct deadline *last = l->head.prev;
    ASSERT(d->next == NULL);
    ASSERT(last == &l->head || last->since_mono_us <= now_mono_us);
    d->since_mono_us = now_mono_us;
    d->prev = last;
    d->next = &l->head;
    last->next = d;
    l->head.prev = d;
}

void deadline_leave(struct deadline *d)
{
    ASSERT(d->next != NULL);
    d->prev->next = d->next;
    d->next->prev = d->prev;
    d->prev = d->next = NULL;
}

struct deadline *deadline_first(const struct deadline_list *l)
{
    return l->head.next == &l->head ? NULL : l->head.next;
}

uint64_t deadline_next(const struct deadline_list *l, uint64_t limit_us)
{
    const struct deadline *first = deadline_first(l);
    return first == NULL ? DEADLINE_NEVER : first->since_mono_us + limit_us;
}

struct deadline *deadline_expired(const struct deadline_list *l, uint64_t now_mono_us,
                                  uint64_t limit_us)
{
    return deadline_next(l, limit_us) <= now_mono_us ? deadline_first(l) : NULL;
}
