/*
 * export: every order, or every change of one, on standard output.
 *
 * Order by order takes two walks over an event: the first keeps the last change of each order, the
 * second writes a row for each grant, with the state that the order has now. Both end where the
 * journal ended when the first walk began. Memory: 24 bytes for each record of the event at hand,
 * touched only for orders that have changed. Change by change takes one walk and keeps nothing. A
 * refused late payment changes no order, so it is in neither; refused payments have an export of
 * their own, which is one walk that keeps the pay_by of each order.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/log/commands.h"

/* The last change of an order; in an export of refusals, the pay_by of its grant alone. */
struct latest {
    uint64_t time_wall_ms, pay_by_wall_ms;
    uint8_t state; /* 0: none, the order is as it was granted */
};

struct export
{
    struct row_from from;
    bool changes;
    struct latest *latest; /* by number - 1 */
    uint64_t count;
    uint64_t unknown; /* seq of a change of an order that was never granted; 0: none */
};

static bool keep_change(void *context, const struct record *r)
{
    struct export *e = context;
    uint64_t number = record_order(r);
    ASSERT(e->latest != NULL && e->unknown == 0);
    if (r->kind != RECORD_CHANGE && r->kind != RECORD_LATE)
        return true;
    if (number == 0 || number > e->count) {
        e->unknown = r->seq;
        return false;
    }
    e->latest[number - 1] = (struct latest){
        .time_wall_ms = r->time_wall_ms, .pay_by_wall_ms = r->pay_by_wall_ms, .state = r->state};
    return true;
}

static bool write_row(const struct export *e, const struct record *r)
{
    char line[ROW_BYTES];
    ASSERT(record_is_order(r));
    return fwrite_unlocked(line, row_print(line, &e->from, r), 1, stdout) == 1;
}

static bool write_change(void *context, const struct record *r)
{
    struct export *e = context;
    ASSERT(e->changes);
    row_learn(&e->from, r);
    return !row_is_order(r) || write_row(e, r);
}

static bool write_order(void *context, const struct record *r)
{
    struct export *e = context;
    row_learn(&e->from, r);
    if (r->kind != RECORD_GRANT || r->number > e->count)
        return true;
    const struct latest *now = &e->latest[r->number - 1];
    if (now->state == 0)
        return write_row(e, r);
    struct record row = *r;
    row.time_wall_ms = now->time_wall_ms;
    row.pay_by_wall_ms = now->pay_by_wall_ms;
    row.state = now->state;
    return write_row(e, &row);
}

/* A refusal does not have the pay_by of the order; its grant has. */
static bool write_refusal(void *context, const struct record *r)
{
    struct export *e = context;
    row_learn(&e->from, r);
    if (!record_is_order(r))
        return true;
    uint64_t number = record_order(r);
    if (number == 0 || number > e->count) {
        e->unknown = r->seq;
        return false;
    }
    if (r->kind == RECORD_GRANT)
        e->latest[number - 1].pay_by_wall_ms = r->pay_by_wall_ms;
    if (r->kind != RECORD_REFUSAL)
        return true;
    struct record row = *r;
    row.pay_by_wall_ms = e->latest[number - 1].pay_by_wall_ms;
    return write_row(e, &row);
}

static bool walk_orders(struct export *e, const struct source *s, uint32_t event, bool refused,
                        struct fault *f)
{
    ASSERT(e->latest != NULL && !e->changes);
    if (refused)
        return source_walk(s, event, 1, e->count, write_refusal, e, f);
    return source_walk(s, event, 1, e->count, keep_change, e, f) &&
           (e->unknown > 0 || source_walk(s, event, 1, e->count, write_order, e, f));
}

static bool export_orders(struct export *e, const struct source *s, uint32_t event, uint64_t end,
                          bool refused, struct fault *f)
{
    ASSERT(e->latest == NULL);
    e->count = end;
    e->latest = calloc(end + 1, sizeof *e->latest);
    if (e->latest == NULL)
        return fault(f, "no memory for %" PRIu64 " orders; export their --changes", end);
    bool good = walk_orders(e, s, event, refused, f);
    if (good && e->unknown > 0)
        good = fault(f,
                     "journal %s: damaged: record %" PRIu64 " of event %s: it changes an order "
                     "that was never granted",
                     source_path(s), e->unknown, e->from.event);
    free(e->latest);
    return good;
}

static bool export_event(const struct source *s, uint32_t event, const struct options *o,
                         struct fault *f)
{
    struct export e = {.from = row_from_event(s, event, o->format), .changes = o->changes};
    uint64_t end;
    ASSERT(!o->changes || !o->refused);
    if (!source_end(s, event, &end, f))
        return false;
    return o->changes ? source_walk(s, event, 1, end, write_change, &e, f)
                      : export_orders(&e, s, event, end, o->refused, f);
}

int export_run(const struct sources *all, const struct options *o, struct fault *f)
{
    row_header(o->format);
    for (uint32_t i = 0; i < sources_count(all); i++)
        for (uint32_t k = 0; k < source_event_count(sources_at(all, i)); k++)
            if (!export_event(sources_at(all, i), k, o, f))
                return EXIT_TROUBLE;
    return 0;
}
