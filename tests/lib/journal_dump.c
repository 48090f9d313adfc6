/*
 * journal-dump DIR: every record of a journal as one JSON line, beside a running server or after
 * it.
 *
 * For the tests, which compare the answers that buyers got with the journal. Order ids are computed
 * from the sale's secret, as in the server.
 *
 * Owner: one thread, one process. It only reads; if it dies, nothing has happened.
 */
/* needs: conf/base/check.c conf/base/fault.c conf/base/log.c conf/base/orderid.c
 *        storage/journal/journal.c storage/journal/journal_preallocate.c
 * storage/journal/journal_open.c storage/journal/capacity.c storage/journal/journal_figures.c
 * storage/journal/order_index.c storage/journal/snapshot.c storage/journal/writer.c
 * storage/journal/catalog.c storage/journal/journal_dir.c storage/journal/pages.c
 * storage/journal/metas.c storage/journal/leaves.c storage/journal/history.c
 * storage/journal/journal_mend.c storage/journal/record.c storage/journal/node_totals.c
 *        storage/journal/verify.c -llmdb -lsodium -ldeflate */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/orderid.h"
#include "storage/journal/journal.h"

struct dump {
    const char *event;
    uint16_t node;
    uint8_t slot;
    uint8_t secret[ORDERID_SECRET];
};

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = {
        [RECORD_SALE] = "sale",   [RECORD_EPOCH] = "epoch",     [RECORD_KNOWN] = "known",
        [RECORD_GRANT] = "grant", [RECORD_CHANGE] = "change",   [RECORD_ADMIN] = "admin",
        [RECORD_LATE] = "late",   [RECORD_REFUSAL] = "refusal", [RECORD_RECLAIM] = "reclaim",
    };
    return kind < ARRAY_LEN(names) && names[kind] ? names[kind] : "unknown";
}

static void print_text(const char *name, const char *text, size_t len)
{
    printf(",\"%s\":\"", name);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_order(const struct dump *d, const struct record *r)
{
    struct orderid id = {.node = d->node, .slot = d->slot, .number = record_order(r)};
    char text[ORDERID_TEXT];
    id.tag = orderid_tag(id.node, id.slot, id.number, d->secret);
    orderid_print(text, &id);
    printf(",\"number\":%" PRIu64
           ",\"order\":\"%.*s\",\"state\":\"%s\",\"n\":%u,\"pay_by\":%" PRIu64,
           r->number, ORDERID_TEXT, text, order_state_name((enum order_state)r->state), r->n,
           r->pay_by_wall_ms);
    if (r->was != 0)
        printf(",\"was\":\"%s\"", order_state_name((enum order_state)r->was));
    if (r->kind == RECORD_LATE)
        printf(",\"of\":%" PRIu64, r->of);
    print_text("buyer", r->buyer, r->buyer_len);
    print_text("key", r->key, r->key_len);
}

static void print_act(const struct record *r)
{
    printf(",\"state\":%u,\"node\":%u,\"acted_ms\":%" PRIu64, r->state, r->node, r->acted_wall_ms);
    print_text("origin", r->buyer, r->buyer_len);
}

static bool print_record(void *context, const struct record *r)
{
    struct dump *d = context;
    if (r->kind == RECORD_SALE)
        memcpy(d->secret, r->secret, sizeof d->secret);
    printf("{\"event\":\"%s\",\"seq\":%" PRIu64 ",\"kind\":\"%s\",\"time_ms\":%" PRIu64, d->event,
           r->seq, kind_name(r->kind), r->time_wall_ms);
    if (record_is_order(r))
        print_order(d, r);
    else if (r->kind == RECORD_EPOCH)
        printf(",\"epoch\":%" PRIu64, r->epoch);
    else if (r->kind == RECORD_KNOWN)
        printf(",\"node\":%u", r->node);
    else
        printf(",\"total\":%u,\"version\":%u", r->total, r->version);
    if (r->kind == RECORD_ADMIN)
        print_act(r);
    printf("}\n");
    return !ferror(stdout);
}

static bool dump_all(struct journal *j, struct fault *f)
{
    for (uint32_t i = 0; i < journal_event_count(j); i++) {
        struct dump d = {
            .event = journal_event_name(j, i), .node = journal_node(j), .slot = journal_slot(j, i)};
        if (!journal_walk(j, i, print_record, &d, f))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct fault f;
    if (argc != 2) {
        fprintf(stderr, "usage: journal-dump DIR\n");
        return 2;
    }
    struct journal *j = journal_open_reader(argv[1], &f);
    bool good = j != NULL && dump_all(j, &f);
    if (j)
        journal_close(j);
    if (!good)
        fprintf(stderr, "journal-dump: %s\n", f.text);
    return good && fflush(stdout) == 0 ? 0 : 1;
}
