/*
 * audit_acts: what operators have done to an event, as the journals and the hash tell it.
 *
 * An act is done in Redis, where it raises the event's version, and every node journals it with its
 * next step. So a journal may be behind, but two of one version say the same, and the hash is never
 * behind a journal, unless acts were lost. Somebody may set the total or the state by hand: then
 * the version stays, and each node journals it anew; this is no loss. Of version 1, which no act
 * has made, it is the only way to differ.
 */
#include <inttypes.h>
#include <string.h>

#include "storage/log/inside.h"
#include "storage/stock/stock.h"

#define EVENT_TEXT 64

static const char *word_of(uint8_t state)
{
    static const char *const words[] = {
        [STOCK_OPEN] = "open", [STOCK_PAUSED] = "paused", [STOCK_CLOSED] = "closed"};
    return state < ARRAY_LEN(words) ? words[state] : "?";
}

/* A sale's own record does not tell the state; of version 1 it is known. */
static bool knows_state(const struct account_said *said)
{
    return said->acted || said->version == 1;
}

static const char *text_of(char text[EVENT_TEXT], const struct account_said *said)
{
    snprintf(text, EVENT_TEXT, "%s%stotal %" PRIu32, knows_state(said) ? word_of(said->state) : "",
             knows_state(said) ? ", " : "", said->total);
    return text;
}

static unsigned node_of(const struct audited *a)
{
    return journal_node(a->source->journal);
}

static bool is_sound(const struct audited *a)
{
    return a->account.tally.has_sale && a->account.wrong == NULL;
}

/* The journal that knows most, or NULL. */
static const struct audited *newest(const struct event_audit *e)
{
    const struct audited *best = NULL;
    for (uint32_t i = 0; i < e->count; i++) {
        const struct audited *a = &e->list[i];
        const struct account_said *said = &a->account.said;
        if (!is_sound(a))
            continue;
        if (best == NULL || said->version > best->account.said.version ||
            (said->version == best->account.said.version && said->acted &&
             !best->account.said.acted))
            best = a;
    }
    return best;
}

/* ---- the journals --------------------------------------------------------------------------- */

static void judge_close(const struct event_audit *e, struct findings *to)
{
    for (uint32_t i = 0; i < e->count; i++) {
        const struct account *a = &e->list[i].account;
        if (a->after_close > 0)
            audit_breach(to,
                         "acts: event %s: node %u: record %" PRIu64
                         " closed the event, and %" PRIu64
                         " order%s got tickets after it, the first with record %" PRIu64,
                         e->name, node_of(&e->list[i]), a->closed, a->after_close,
                         plural(a->after_close), a->first_after);
    }
}

/* Do they say something else of the same version of the same sale? */
static bool differ(const struct audited *a, const struct audited *b)
{
    const struct account_said *left = &a->account.said, *right = &b->account.said;
    return is_sound(a) && is_sound(b) && left->version == right->version &&
           memcmp(a->account.tally.sale, b->account.tally.sale, SALE_ID_BYTES) == 0 &&
           (left->total != right->total ||
            (left->acted && right->acted && left->state != right->state));
}

/* Each journal against the first one that differs. */
static void judge_versions(const struct event_audit *e, struct findings *to)
{
    for (uint32_t k = 1; k < e->count; k++) {
        const struct audited *a = e->list, *b = &e->list[k];
        while (a < b && !differ(a, b))
            a++;
        if (a == b)
            continue;
        const struct account_said *left = &a->account.said, *right = &b->account.said;
        char one[EVENT_TEXT], other[EVENT_TEXT];
        bool by_hand = left->version == 1 || left->corrected || right->corrected ||
                       !(left->acted || right->acted);
        if (by_hand)
            audit_say(to,
                      "open: event %s: of version %" PRIu32 " node %u says %s, and node %u %s; "
                      "somebody set it by hand, and not all have heard",
                      e->name, left->version, node_of(a), text_of(one, left), node_of(b),
                      text_of(other, right));
        else
            audit_breach(to,
                         "acts: event %s: of version %" PRIu32 " node %u says %s, and node %u %s; "
                         "acts were lost",
                         e->name, left->version, node_of(a), text_of(one, left), node_of(b),
                         text_of(other, right));
    }
}

static void say_last(const struct event_audit *e, struct findings *to)
{
    const struct audited *best = newest(e);
    uint32_t knowing = 0;
    char text[EVENT_TEXT];
    if (best == NULL)
        return;
    const struct account_said *said = &best->account.said;
    for (uint32_t i = 0; i < e->count; i++)
        knowing += is_sound(&e->list[i]) && e->list[i].account.said.version == said->version;
    audit_say(to, "acts: event %s: %s, version %" PRIu32 ", known to %u of %u journal%s", e->name,
              text_of(text, said), said->version, knowing, e->count, plural(e->count));
}

void audit_acts(struct findings *to, const struct event_audit *e)
{
    judge_close(e, to);
    judge_versions(e, to);
    say_last(e, to);
}

/* ---- the hash ------------------------------------------------------------------------------- */

/* Is it another run of Redis than a node last attached to? Then the next attach begins a repair. */
static bool was_restarted(struct redis_inspect *look, const struct inspect_event *hash)
{
    char run[INSPECT_RUN_TEXT];
    struct fault why;
    return !inspect_run(look, run, &why) || strcmp(run, hash->run) != 0;
}

/* The hash says less than a journal had before we looked. */
static void judge_behind(struct findings *to, struct redis_inspect *look,
                         const struct event_audit *e, const struct audited *ahead)
{
    const struct inspect_event *h = &e->hash;
    uint32_t version = ahead->account.mark_version;
    if (h->repair || was_restarted(look, h))
        audit_say(to,
                  "open: event %s: %s: the hash is %s, version %" PRIu64 ", the journal of node %u "
                  "knows version %" PRIu32 "; mended when that node attaches",
                  e->name, h->repair ? "in repair" : "Redis was started again and has lost acts",
                  h->state, h->version, node_of(ahead), version);
    else
        audit_breach(to,
                     "acts: event %s: the hash is %s, version %" PRIu64 ", the journal of node %u "
                     "knows version %" PRIu32 "; acts were lost",
                     e->name, h->state, h->version, node_of(ahead), version);
}

static void say_hash(struct findings *to, const struct event_audit *e,
                     const struct account_said *said)
{
    const struct inspect_event *h = &e->hash;
    char text[EVENT_TEXT];
    bool same_state = !knows_state(said) || strcmp(h->state, word_of(said->state)) == 0;
    if (h->version > said->version)
        audit_say(to,
                  "open: event %s: %s, total %" PRIu64 ", version %" PRIu64
                  " is in no journal yet; each node writes it down with its next step",
                  e->name, h->state, h->total, h->version);
    else if (h->version == said->version && (h->total != said->total || !same_state))
        audit_say(to,
                  "open: event %s: Redis says %s, total %" PRIu64 ", a journal of the same version "
                  "%s; somebody set it by hand, and each node writes it down with its next step",
                  e->name, h->state, h->total, text_of(text, said));
}

void audit_acts_redis(struct findings *to, struct redis_inspect *look, const struct event_audit *e)
{
    const struct audited *best = newest(e), *ahead = NULL;
    if (best == NULL)
        return;
    if (e->hash.version == 0 || e->hash.state[0] == '\0') {
        audit_say(to,
                  "open: event %s: the hash has lost its version or state; repaired by the next "
                  "attach",
                  e->name);
        return;
    }
    for (uint32_t i = 0; i < e->count; i++) {
        const struct audited *a = &e->list[i];
        if (is_sound(a) && a->account.mark_version > e->hash.version &&
            (ahead == NULL || a->account.mark_version > ahead->account.mark_version))
            ahead = a;
    }
    if (ahead != NULL)
        judge_behind(to, look, e, ahead);
    else
        say_hash(to, e, &best->account.said);
}
