/*
 * audit_admin: what operators have done to an event, as the journals and the hash have it.
 *
 * An act is done in Redis, where it raises the event's version, and every node journals it with its
 * next step. So a journal may be behind the hash, but two journals of one version agree, and the
 * hash is never behind a journal, unless acts were lost. If the total or the state is set by hand,
 * the version stays, and each node journals the change as well; this is no loss. Journals of
 * version 1, which no act has made, can differ in this way only.
 */
#include <inttypes.h>
#include <string.h>

#include "storage/log/audit_private.h"

#include "storage/stock/stock.h"

#define EVENT_TEXT 64

static const char *state_name(uint8_t state)
{
    static const char *const names[] = {
        [STOCK_OPEN] = "open", [STOCK_PAUSED] = "paused", [STOCK_CLOSED] = "closed"};
    return state < ARRAY_LEN(names) ? names[state] : "?";
}

/* A SALE record does not have the state, but at version 1 the event is open. */
static bool knows_state(const struct audit_settings *settings)
{
    return settings->from_act || settings->version == 1;
}

static const char *text_of(char text[EVENT_TEXT], const struct audit_settings *settings)
{
    const char *state = knows_state(settings) ? state_name(settings->state) : NULL;
    int len = snprintf(text, EVENT_TEXT, "%s%stotal %" PRIu32, state != NULL ? state : "",
                       state != NULL ? ", " : "", settings->total);
    ASSERT(len > 0 && len < EVENT_TEXT);
    return text;
}

static bool is_sound(const struct journal_audit *a)
{
    return a->totals.node.has_sale && a->totals.wrong == NULL;
}

/* The journal with the latest settings, or NULL. */
static const struct journal_audit *newest(const struct event_audit *e)
{
    const struct journal_audit *best = NULL;
    for (uint32_t i = 0; i < e->count; i++) {
        const struct journal_audit *a = &e->journals[i];
        const struct audit_settings *settings = &a->totals.settings;
        if (!is_sound(a))
            continue;
        if (best == NULL || settings->version > best->totals.settings.version ||
            (settings->version == best->totals.settings.version && settings->from_act &&
             !best->totals.settings.from_act))
            best = a;
    }
    return best;
}

/* ---- the journals --------------------------------------------------------------------------- */

static void check_close(const struct event_audit *e, struct findings *to)
{
    for (uint32_t i = 0; i < e->count; i++) {
        const struct audit_totals *t = &e->journals[i].totals;
        ASSERT(t->after_close == 0 || (t->closed > 0 && t->first_after > t->closed));
        if (t->after_close > 0)
            findings_breach(to,
                            "acts: event %s: node %u: record %" PRIu64
                            " closed the event, and %" PRIu64
                            " order%s got tickets after it, the first with record %" PRIu64,
                            e->name, audit_node(&e->journals[i]), t->closed, t->after_close,
                            plural(t->after_close), t->first_after);
    }
}

/* Do they differ about the same version of the same sale? */
static bool differ(const struct journal_audit *a, const struct journal_audit *b)
{
    const struct audit_settings *one = &a->totals.settings, *two = &b->totals.settings;
    return is_sound(a) && is_sound(b) && one->version == two->version &&
           memcmp(a->totals.node.sale, b->totals.node.sale, SALE_ID_BYTES) == 0 &&
           (one->total != two->total ||
            (one->from_act && two->from_act && one->state != two->state));
}

/* Compares each journal with the first one that differs. */
static void check_versions(const struct event_audit *e, struct findings *to)
{
    for (uint32_t k = 1; k < e->count; k++) {
        const struct journal_audit *a = e->journals, *b = &e->journals[k];
        while (a < b && !differ(a, b))
            a++;
        if (a == b)
            continue;
        const struct audit_settings *one = &a->totals.settings, *two = &b->totals.settings;
        char text[2][EVENT_TEXT];
        bool by_hand = one->version == 1 || one->corrected || two->corrected ||
                       !(one->from_act || two->from_act);
        if (by_hand)
            findings_add(to,
                         "open: event %s: of version %" PRIu32 " node %u says %s, and node %u %s; "
                         "somebody set it by hand, and not all have heard",
                         e->name, one->version, audit_node(a), text_of(text[0], one), audit_node(b),
                         text_of(text[1], two));
        else
            findings_breach(to,
                            "acts: event %s: of version %" PRIu32
                            " node %u says %s, and node %u %s; "
                            "acts were lost",
                            e->name, one->version, audit_node(a), text_of(text[0], one),
                            audit_node(b), text_of(text[1], two));
    }
}

static void report_last(const struct event_audit *e, struct findings *to)
{
    const struct journal_audit *best = newest(e);
    uint32_t agreeing = 0;
    char text[EVENT_TEXT];
    if (best == NULL)
        return;
    const struct audit_settings *settings = &best->totals.settings;
    for (uint32_t i = 0; i < e->count; i++)
        agreeing += is_sound(&e->journals[i]) &&
                    e->journals[i].totals.settings.version == settings->version;
    ASSERT(agreeing >= 1 && agreeing <= e->count);
    findings_add(to, "acts: event %s: %s, version %" PRIu32 ", known to %u of %u journal%s",
                 e->name, text_of(text, settings), settings->version, agreeing, e->count,
                 plural(e->count));
}

void audit_admin(struct findings *to, const struct event_audit *e)
{
    check_close(e, to);
    check_versions(e, to);
    report_last(e, to);
}

/* ---- the hash ------------------------------------------------------------------------------- */

/* Has Redis been restarted since a node last attached? Then the next attach begins a repair. */
static bool was_restarted(struct redis_inspect *redis, const struct inspect_event *hash)
{
    char run[INSPECT_RUN_TEXT];
    struct fault why;
    return !inspect_run(redis, run, &why) || strcmp(run, hash->run) != 0;
}

/* The hash has an earlier version than a journal had before Redis was asked. */
static void report_behind(struct findings *to, struct redis_inspect *redis,
                          const struct event_audit *e, const struct journal_audit *ahead)
{
    const struct inspect_event *h = &e->hash;
    uint32_t version = ahead->totals.early_version;
    ASSERT(version > h->version);
    if (h->repair || was_restarted(redis, h))
        findings_add(to,
                     "open: event %s: %s: the hash is %s, version %" PRIu64
                     ", the journal of node %u "
                     "knows version %" PRIu32 "; mended when that node attaches",
                     e->name, h->repair ? "in repair" : "Redis was started again and has lost acts",
                     h->state, h->version, audit_node(ahead), version);
    else
        findings_breach(to,
                        "acts: event %s: the hash is %s, version %" PRIu64
                        ", the journal of node %u "
                        "knows version %" PRIu32 "; acts were lost",
                        e->name, h->state, h->version, audit_node(ahead), version);
}

static void check_hash(struct findings *to, const struct event_audit *e,
                       const struct audit_settings *settings)
{
    const struct inspect_event *h = &e->hash;
    char text[EVENT_TEXT];
    bool same_state = !knows_state(settings) || strcmp(h->state, state_name(settings->state)) == 0;
    if (h->version > settings->version)
        findings_add(to,
                     "open: event %s: %s, total %" PRIu64 ", version %" PRIu64
                     " is in no journal yet; each node writes it down with its next step",
                     e->name, h->state, h->total, h->version);
    else if (h->version == settings->version && (h->total != settings->total || !same_state))
        findings_add(to,
                     "open: event %s: Redis says %s, total %" PRIu64
                     ", a journal of the same version "
                     "%s; somebody set it by hand, and each node writes it down with its next step",
                     e->name, h->state, h->total, text_of(text, settings));
}

void audit_admin_redis(struct findings *to, struct redis_inspect *redis,
                       const struct event_audit *e)
{
    const struct journal_audit *best = newest(e), *ahead = NULL;
    ASSERT(e->has_hash);
    if (best == NULL)
        return;
    if (e->hash.version == 0 || e->hash.state[0] == '\0') {
        findings_add(to,
                     "open: event %s: the hash has lost its version or state; repaired by the next "
                     "attach",
                     e->name);
        return;
    }
    for (uint32_t i = 0; i < e->count; i++) {
        const struct journal_audit *a = &e->journals[i];
        if (is_sound(a) && a->totals.early_version > e->hash.version &&
            (ahead == NULL || a->totals.early_version > ahead->totals.early_version))
            ahead = a;
    }
    if (ahead != NULL)
        report_behind(to, redis, e, ahead);
    else
        check_hash(to, e, &best->totals.settings);
}
