/*
 * audit_private: what the files of the audit share. audit.c reads and prints; the others compare:
 *
 *   audit_journals   the journals by themselves, and with each other
 *   audit_admin      acts of operators
 *   audit_redis      the hash of the event
 *   audit_keys       keys, buyers and key hashes in Redis
 *   audit_stream     the stream of orders in Redis
 *
 * Owner: one thread.
 */
#ifndef SPIKE_LOG_AUDIT_PRIVATE_H
#define SPIKE_LOG_AUDIT_PRIVATE_H

#include "storage/log/audit_totals.h"
#include "storage/log/buyer_index.h"
#include "storage/log/findings.h"
#include "storage/log/key_index.h"
#include "storage/log/source.h"
#include "storage/stock/redis_inspect.h"

/* One event in one journal. */
struct journal_audit {
    const struct source *source;
    uint32_t event;                   /* its index there */
    uint64_t early_end, end;          /* before Redis was asked; of what is audited */
    const struct inspect_node *redis; /* the node's fields in the hash, or NULL */
    uint32_t limit;                   /* of a buyer, by the configuration; 0 none */
    struct audit_totals totals;
    struct buyer_excess excess;
    uint8_t *order_seqs; /* a bit for each record that has an entry in the stream */
    bool at_rest;        /* Redis has all of it, and nothing changed during the audit */
};

/* One event over all journals that have it. */
struct event_audit {
    const char *name;
    struct journal_audit *journals;
    uint32_t count;
    struct inspect_event hash;
    bool has_hash; /* Redis was asked and has it */
    struct audit_sum sum;
    struct key_index *keys; /* sorted by audit_journals() */
    struct buyer_index *buyers;
};

void audit_journals(struct findings *to, struct event_audit *e);
/* The acts in the journals, compared with each other. */
void audit_admin(struct findings *to, const struct event_audit *e);
/* The acts in the hash, compared with the journals. */
void audit_admin_redis(struct findings *to, struct redis_inspect *redis,
                       const struct event_audit *e);
/* False: no memory, or a journal cannot be read; f says why. */
MUST_CHECK bool audit_redis(struct findings *to, struct redis_inspect *redis, struct event_audit *e,
                            struct fault *f);
MUST_CHECK bool audit_keys(struct findings *to, struct redis_inspect *redis, struct event_audit *e,
                           struct fault *f);
MUST_CHECK bool audit_stream(struct findings *to, struct redis_inspect *redis,
                             const struct event_audit *e, struct fault *f);

/* The node of the journal, for messages. */
static inline unsigned audit_node(const struct journal_audit *a)
{
    return source_node(a->source);
}

/* NULL: the journal of this node was not given. */
static inline struct journal_audit *audit_find_node(const struct event_audit *e, uint64_t node)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (audit_node(&e->journals[i]) == node)
            return &e->journals[i];
    return NULL;
}

/* Has the node taken part in the last rebuild of keys, buyers and key hashes? */
static inline bool audit_has_rebuilt(const struct event_audit *e, const struct inspect_node *n)
{
    return e->hash.rebuild != 0 && n->rebuild == e->hash.rebuild;
}

static inline bool bit_get(const uint8_t *bits, uint64_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

static inline void bit_set(uint8_t *bits, uint64_t i)
{
    bits[i / 8] = (uint8_t)(bits[i / 8] | 1u << (i % 8));
}

#endif
