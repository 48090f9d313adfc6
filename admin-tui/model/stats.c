/*
 * stats: see stats.h. What is known of an object is a table (struct shape); one walk over the text
 * stores what the tables name and passes over the rest, validating all of it.
 *
 * Owner: one thread (json.h). Nothing outlives a call but *s.
 */
#include "admin-tui/model/stats.h"

#include <stdio.h>
#include <string.h>

#include "admin-tui/client/json.h"

#define PATH_BYTES 64
#define NUMBER_MAX (UINT64_C(1) << 63)

enum kind {
    KIND_NUMBER,
    KIND_STRING,  /* printable ASCII, shorter than capacity */
    KIND_EVENT,   /* an event's name */
    KIND_CAP,     /* a number, or null for none; `also` is a bool: there is one */
    KIND_OBJECT,  /* its fields go into the same struct */
    KIND_LIST,    /* of objects; `also` is their count, capacity how many are kept */
    KIND_BUCKETS, /* of [le, count] */
    KIND_WAITS,   /* of nodes' numbers; `also` is their count, of which capacity are kept */
};

struct shape;
struct field {
    const char *name;
    enum kind kind;
    size_t offset, also;
    size_t capacity;
    const struct shape *shape;
};

struct shape {
    const struct field *fields;
    uint32_t count; /* at most 32 */
    size_t size;    /* of the struct that a list of these has */
};

#define NUMBER(type, name, member)                                   \
    {                                                                \
        name, KIND_NUMBER, offsetof(struct type, member), 0, 0, NULL \
    }
#define STRING(type, name, member)                                                               \
    {                                                                                            \
        name, KIND_STRING, offsetof(struct type, member), 0, sizeof(((struct type *)0)->member), \
            NULL                                                                                 \
    }
#define OBJECT(name, shape)                  \
    {                                        \
        name, KIND_OBJECT, 0, 0, 0, &(shape) \
    }
#define LIST(name, member, count, shape)                                                \
    {                                                                                   \
        name, KIND_LIST, offsetof(struct stats, member), offsetof(struct stats, count), \
            ARRAY_LEN(((struct stats *)0)->member), &(shape)                            \
    }
#define SHAPE(name, type) \
    static const struct shape name = {name##_fields, ARRAY_LEN(name##_fields), sizeof(struct type)}

static const struct field orders_fields[] = {
    NUMBER(stats_event, "granted", granted),     NUMBER(stats_event, "paid", paid),
    NUMBER(stats_event, "cancelled", cancelled), NUMBER(stats_event, "expired", expired),
    NUMBER(stats_event, "late", late),           NUMBER(stats_event, "late_refused", late_refused),
};
SHAPE(orders, stats_event);

static const struct field event_fields[] = {
    {"name", KIND_EVENT, offsetof(struct stats_event, name), 0, EVENT_NAME_MAX + 1, NULL},
    STRING(stats_event, "state", state),
    NUMBER(stats_event, "total", total),
    NUMBER(stats_event, "sold", sold),
    NUMBER(stats_event, "left", left),
    NUMBER(stats_event, "node_sold", node_sold),
    NUMBER(stats_event, "node_held", node_held),
    {"local_stock", KIND_CAP, offsetof(struct stats_event, local_stock),
     offsetof(struct stats_event, has_cap), 0, NULL},
    NUMBER(stats_event, "refused", refused),
    OBJECT("orders", orders),
    {"granted_tickets", KIND_CAP, offsetof(struct stats_event, granted_tickets),
     offsetof(struct stats_event, has_granted_tickets), 0, NULL},
    {"waits_for", KIND_WAITS, offsetof(struct stats_event, waits_for),
     offsetof(struct stats_event, waits), STATS_WAITS_MAX, NULL},
};
SHAPE(event, stats_event);

static const struct field worker_fields[] = {
    STRING(stats_worker, "name", name),
    NUMBER(stats_worker, "requests", requests),
    NUMBER(stats_worker, "connections", connections),
    NUMBER(stats_worker, "p50", p50_us),
    NUMBER(stats_worker, "p99", p99_us),
    NUMBER(stats_worker, "max", max_us),
};
SHAPE(worker, stats_worker);

static const struct field pool_fields[] = {
    STRING(stats_pool, "name", name),
    NUMBER(stats_pool, "used", used),
    NUMBER(stats_pool, "size", size),
};
SHAPE(pool, stats_pool);

static const struct field plan_fields[] = {
    STRING(stats_pool, "name", name),
    NUMBER(stats_pool, "bytes", size),
};
SHAPE(plan, stats_pool);

static const struct field answers_fields[] = {
    NUMBER(stats, "2xx", answers_2xx),
    NUMBER(stats, "4xx", answers_4xx),
    NUMBER(stats, "5xx", answers_5xx),
};
SHAPE(answers, stats);

static const struct field http_fields[] = {
    NUMBER(stats, "requests", requests),
    NUMBER(stats, "connections", connections),
    NUMBER(stats, "connections_max", connections_max),
    OBJECT("answers", answers),
};
SHAPE(http, stats);

static const struct field latency_fields[] = {
    NUMBER(stats, "p50", p50_us),
    NUMBER(stats, "p99", p99_us),
    NUMBER(stats, "max", max_us),
    {"buckets", KIND_BUCKETS, 0, 0, 0, NULL},
};
SHAPE(latency, stats);

static const struct field redis_fields[] = {
    STRING(stats, "state", redis),
    NUMBER(stats, "rtt_us", redis_rtt_us),
    NUMBER(stats, "reconnects", redis_reconnects),
};
SHAPE(redis, stats);

static const struct field journal_fields[] = {
    NUMBER(stats, "records", journal_records),
    NUMBER(stats, "used_bytes", journal_used_bytes),
    NUMBER(stats, "size_bytes", journal_size_bytes),
    NUMBER(stats, "commit_p99_us", commit_p99_us),
};
SHAPE(journal, stats);

static const struct field memory_fields[] = {
    NUMBER(stats, "arena_bytes", arena_bytes),
    NUMBER(stats, "rss_bytes", rss_bytes),
    LIST("pools", pools, pool_count, pool),
    LIST("plan", plan, plan_count, plan),
};
SHAPE(memory, stats);

static const struct field top_fields[] = {
    NUMBER(stats, "node", node),
    NUMBER(stats, "pid", pid),
    STRING(stats, "version", version),
    STRING(stats, "state", state),
    NUMBER(stats, "uptime_s", uptime_s),
    NUMBER(stats, "time_ms", time_ms),
    LIST("events", events, event_count, event),
    OBJECT("http", http),
    OBJECT("latency_us", latency),
    OBJECT("redis", redis),
    OBJECT("journal", journal),
    OBJECT("memory", memory),
    LIST("workers", workers, worker_count, worker),
};
SHAPE(top, stats);

struct reader {
    struct json *json;
    struct fault *f;
    char path[PATH_BYTES]; /* of the known field that is being read: "events[0].total" */
};

static bool wrong(struct reader *r, const char *what)
{
    return fault(r->f, "%s%s%s", r->path, r->path[0] != '\0' ? ": " : "", what);
}

/* False: the value that begins here is of another kind; the fault says `what`. */
static bool expect(struct reader *r, enum json_kind kind, struct json_span *span, const char *what)
{
    enum json_kind found = json_here(r->json, span);
    if (found == JSON_NONE)
        return json_broken(r->json);
    return found == kind || wrong(r, what);
}

static bool read_number(struct reader *r, uint64_t *out)
{
    ASSERT(r->json != NULL && out != NULL);
    struct json_span digits;
    uint64_t n = 0;
    if (!expect(r, JSON_PLAIN, &digits, "not a number") || !json_pass(r->json))
        return false;
    if (!json_is_number(&digits))
        return wrong(r, "not a number");
    if (!json_is_digits(&digits))
        return wrong(r, "not a whole number");
    for (size_t i = 0; i < digits.len; i++) {
        if (n > NUMBER_MAX / 10)
            return wrong(r, "too large");
        n = n * 10 + (uint64_t)(digits.s[i] - '0');
    }
    *out = n;
    return n <= NUMBER_MAX || wrong(r, "too large");
}

static bool read_cap(struct reader *r, const struct field *field, char *base)
{
    struct json_span span;
    bool has = json_here(r->json, &span) != JSON_PLAIN || !json_is(&span, "null");
    uint64_t n = 0;
    if (has ? !read_number(r, &n) : !json_pass(r->json))
        return false;
    ASSERT(field->kind == KIND_CAP && field->also != 0);
    memcpy(base + field->offset, &n, sizeof n);
    memcpy(base + field->also, &has, sizeof has);
    return true;
}

static bool is_event_name(const struct json_span *name)
{
    for (size_t i = 0; i < name->len; i++) {
        char c = name->s[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return name->len > 0;
}

static bool read_string(struct reader *r, const struct field *field, char *base)
{
    struct json_span string;
    ASSERT(field->capacity > 0);
    if (!expect(r, JSON_STRING, &string, "not a string") || !json_pass(r->json))
        return false;
    if (string.len >= field->capacity)
        return wrong(r, "too long");
    if (field->kind == KIND_EVENT && !is_event_name(&string))
        return wrong(r, "no event's name");
    for (size_t i = 0; i < string.len; i++)
        if (string.s[i] < 0x20 || string.s[i] > 0x7e || string.s[i] == '\\')
            return wrong(r, "not plain text");
    memcpy(base + field->offset, string.s, string.len);
    base[field->offset + string.len] = '\0';
    return true;
}

/* One [le, count]; those beyond STATS_BUCKETS_MAX are validated and dropped. */
static bool read_bucket(struct reader *r, struct stats *s)
{
    static const char pairs[] = "not a list of pairs";
    uint64_t le, count;
    ASSERT(s->buckets <= STATS_BUCKETS_MAX);
    if (!expect(r, JSON_LIST, NULL, pairs) || !json_enter(r->json))
        return false;
    if (json_next(r->json, JSON_LIST, true) != JSON_ONE)
        return wrong(r, pairs);
    if (!read_number(r, &le))
        return false;
    if (json_next(r->json, JSON_LIST, false) != JSON_ONE)
        return wrong(r, pairs);
    if (!read_number(r, &count))
        return false;
    if (json_next(r->json, JSON_LIST, false) != JSON_END)
        return wrong(r, pairs);
    if (s->buckets > 0 && le <= s->bucket_us[s->buckets - 1])
        return wrong(r, "not rising");
    if (s->buckets < STATS_BUCKETS_MAX) {
        s->bucket_us[s->buckets] = le;
        s->bucket_count[s->buckets++] = count;
    }
    return true;
}

static bool read_buckets(struct reader *r, struct stats *s)
{
    enum json_step step;
    if (!expect(r, JSON_LIST, NULL, "not a list") || !json_enter(r->json))
        return false;
    for (bool first = true; (step = json_next(r->json, JSON_LIST, first)) == JSON_ONE;
         first = false)
        if (!read_bucket(r, s))
            return false;
    return step == JSON_END;
}

static bool read_waits(struct reader *r, const struct field *field, char *base)
{
    uint32_t n = 0;
    enum json_step step;
    if (!expect(r, JSON_LIST, NULL, "not a list") || !json_enter(r->json))
        return false;
    for (bool first = true; (step = json_next(r->json, JSON_LIST, first)) == JSON_ONE;
         first = false) {
        uint64_t number;
        if (!read_number(r, &number))
            return false;
        if (number < 1 || number > NODE_MAX)
            return wrong(r, "no node's number");
        uint16_t node = (uint16_t)number;
        if (n < field->capacity)
            memcpy(base + field->offset + n * sizeof node, &node, sizeof node);
        n++;
    }
    memcpy(base + field->also, &n, sizeof n);
    return step == JSON_END;
}

static bool read_object(struct reader *r, const struct shape *shape, char *base);

static bool read_element(struct reader *r, const struct field *field, uint32_t i, char *base)
{
    size_t path = strlen(r->path);
    ASSERT(i <= field->capacity && field->shape != NULL);
    if (i == field->capacity)
        return field->shape == &event ? wrong(r, "too many") : json_pass(r->json);
    snprintf(r->path + path, sizeof r->path - path, "[%u]", (unsigned)i);
    if (!read_object(r, field->shape, base + field->offset + i * field->shape->size))
        return false;
    r->path[path] = '\0';
    return true;
}

/* Of pools and workers the first ones are kept. Events are summed: too many are an error. */
static bool read_list(struct reader *r, const struct field *field, char *base)
{
    uint32_t n = 0;
    enum json_step step;
    if (!expect(r, JSON_LIST, NULL, "not a list") || !json_enter(r->json))
        return false;
    for (bool first = true; (step = json_next(r->json, JSON_LIST, first)) == JSON_ONE;
         first = false) {
        if (!read_element(r, field, n, base))
            return false;
        n += n < field->capacity ? 1 : 0;
    }
    memcpy(base + field->also, &n, sizeof n);
    return step == JSON_END;
}

static bool read_field(struct reader *r, const struct field *field, char *base)
{
    uint64_t n = 0;
    switch (field->kind) {
    case KIND_NUMBER:
        if (!read_number(r, &n))
            return false;
        memcpy(base + field->offset, &n, sizeof n);
        return true;
    case KIND_STRING:
    case KIND_EVENT:
        return read_string(r, field, base);
    case KIND_CAP:
        return read_cap(r, field, base);
    case KIND_OBJECT:
        return read_object(r, field->shape, base);
    case KIND_LIST:
        return read_list(r, field, base);
    case KIND_WAITS:
        return read_waits(r, field, base);
    case KIND_BUCKETS:
        break;
    }
    return read_buckets(r, (struct stats *)(void *)base);
}

static bool read_member(struct reader *r, const struct shape *shape, char *base, uint32_t *seen)
{
    struct json_span key;
    uint32_t i = 0;
    ASSERT(shape->count <= 32); /* a bit each */
    if (!json_key(r->json, &key))
        return false;
    while (i < shape->count && !json_is(&key, shape->fields[i].name))
        i++;
    if (i == shape->count)
        return json_pass(r->json);
    size_t path = strlen(r->path);
    snprintf(r->path + path, sizeof r->path - path, "%s%s", path > 0 ? "." : "",
             shape->fields[i].name);
    if ((*seen & 1u << i) != 0)
        return wrong(r, "there twice");
    *seen |= 1u << i;
    if (!read_field(r, &shape->fields[i], base))
        return false;
    r->path[path] = '\0';
    return true;
}

static bool read_object(struct reader *r, const struct shape *shape, char *base)
{
    uint32_t seen = 0;
    enum json_step step;
    if (!expect(r, JSON_OBJECT, NULL, "not an object") || !json_enter(r->json))
        return false;
    for (bool first = true; (step = json_next(r->json, JSON_OBJECT, first)) == JSON_ONE;
         first = false)
        if (!read_member(r, shape, base, &seen))
            return false;
    return step == JSON_END;
}

/* What no field shows alone. */
static bool check(const struct stats *s, struct fault *f)
{
    if (s->node < 1 || s->node > NODE_MAX)
        return fault(f, "no node's /stats");
    for (uint32_t i = 0; i < s->event_count; i++) {
        if (s->events[i].name[0] == '\0')
            return fault(f, "events[%u]: no name", (unsigned)i);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(s->events[i].name, s->events[k].name) == 0)
                return fault(f, "events[%u].name: there twice", (unsigned)i);
    }
    return true;
}

const struct stats_event *stats_find_event(const struct stats *s, const char *name, uint32_t *index)
{
    ASSERT(s->event_count <= EVENTS_MAX);
    for (uint32_t i = 0; i < s->event_count; i++) {
        if (strcmp(s->events[i].name, name) != 0)
            continue;
        if (index != NULL)
            *index = i;
        return &s->events[i];
    }
    return NULL;
}

bool stats_parse(struct stats *s, const char *text, size_t len, struct fault *f)
{
    struct reader r = {.f = f, .path = ""};
    memset(s, 0, sizeof *s);
    if (len > STATS_BYTES_MAX)
        return fault(f, "too long");
    r.json = json_open(text, len, f);
    if (r.json == NULL || !read_object(&r, &top, (char *)s))
        return false;
    return json_end(r.json) && check(s, f);
}
