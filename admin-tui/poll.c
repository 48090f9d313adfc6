/*
 * poll: see poll.h. Order of effects in a round: ask each node a little after the one before, read
 * what comes, tell the model at once, and say `done` when nobody is left to wait for. The text of
 * an answer is put together and parsed in one place, so a node needs memory only while it answers.
 */
#include "admin-tui/poll.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/ask.h"
#include "conf/base/clock.h"

#define REQUEST_BYTES  1024
#define ACTS_MAX       8 /* under way at once */
#define ACT_TIMEOUT_US 3000000u
#define ACT_BODY_MAX   4096u
#define BETWEEN_US     2000u /* from asking one node to asking the next, if the round has the time */
#define CHUNKS_WHOLE   (STATS_BYTES_MAX / CHUNK_BYTES + 1)
#define REST_CHUNKS    (2 * CHUNKS_WHOLE) /* two nodes at a time may say as much as they like */

struct polled {
    struct ask ask; /* first */
    struct poll *poll;
    struct place place;
    struct model_node *node;
    bool has_text; /* of this round, in ask.body */
    bool again;    /* it was asked once more in this round */
    bool moves;    /* to the next place, as soon as it is not being asked */
    struct place next;
    char next_address[MODEL_ADDRESS];
};

struct act {
    struct ask ask; /* first */
    struct poll *poll;
    struct place place; /* its own: the node may move meanwhile */
    const struct model_node *node;
    poll_acted *acted;
    void *context;
    char request[REQUEST_BYTES];
};

struct poll {
    struct asker asker;
    struct model *model;
    char token[REQUEST_BYTES / 2]; /* the whole header line, or nothing */
    char request[REQUEST_BYTES];
    size_t request_len;
    bool keep_texts;
    bool is_round;    /* under way */
    uint32_t pending; /* nodes that are being asked */
    uint64_t again_us;
    ev_timer empty;
    void (*done)(void *context);
    void *context;
    uint32_t count;
    struct polled polled[MODEL_NODES_MAX];
    struct act acts[ACTS_MAX];
    struct stats stats;
    char text[STATS_BYTES_MAX + 1];
};

static void end_round(struct poll *p)
{
    p->is_round = false;
    p->done(p->context);
}

/* A round without nodes has an end, too: it comes through the loop like any other. */
static void end_empty(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct poll *p = timer->data;
    (void)loop, (void)events;
    if (p->is_round && p->pending == 0)
        end_round(p);
}

struct poll *poll_new(struct ev_loop *loop, struct model *m, const char *token)
{
    struct poll *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    if (!buffers_init(&p->asker.buffers, MODEL_NODES_MAX + ACTS_MAX, REST_CHUNKS)) {
        free(p);
        return NULL;
    }
    p->asker.loop = loop;
    ev_init(&p->empty, end_empty);
    p->empty.data = p;
    p->model = m;
    if (token != NULL) {
        ASSERT(strlen(token) < sizeof p->token - 32);
        snprintf(p->token, sizeof p->token, "Authorization: Bearer %s\r\n", token);
    }
    p->request_len = (size_t)snprintf(p->request, sizeof p->request,
                                      "GET /stats HTTP/1.1\r\nHost: localhost\r\n%s\r\n", p->token);
    ASSERT(p->request_len < sizeof p->request);
    for (int i = 0; i < ACTS_MAX; i++)
        ask_init(&p->acts[i].ask, &p->asker, NULL, NULL);
    return p;
}

void poll_free(struct poll *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        ask_close(&p->polled[i].ask);
    for (int i = 0; i < ACTS_MAX; i++)
        ask_close(&p->acts[i].ask);
    ev_timer_stop(p->asker.loop, &p->empty);
    buffers_free(&p->asker.buffers);
    free(p);
}

bool poll_keep_texts(struct poll *p)
{
    ASSERT(p->asker.buffers.fresh == 0);
    buffers_free(&p->asker.buffers);
    p->keep_texts = true;
    return buffers_init(&p->asker.buffers, MODEL_NODES_MAX + ACTS_MAX,
                        MODEL_NODES_MAX * CHUNKS_WHOLE);
}

/* ---- rounds --------------------------------------------------------------------------------- */

/* The body as a text, in the one place for it. */
static size_t gather(struct poll *p, const struct ask *a)
{
    ASSERT(a->body.len < sizeof p->text);
    chain_copy(&a->body, p->text);
    p->text[a->body.len] = '\0';
    return a->body.len;
}

static void hear(struct polled *n, uint64_t now)
{
    struct poll *p = n->poll;
    struct fault f;
    size_t len = gather(p, &n->ask);
    if (!stats_parse(&p->stats, p->text, len, &f)) {
        ask_forget(&n->ask);
        model_failed(p->model, n->node, f.text, now, clock_wall_ms());
        return;
    }
    n->has_text = p->keep_texts;
    if (!p->keep_texts)
        ask_forget(&n->ask);
    model_heard(p->model, n->node, &p->stats, now - n->ask.sent_mono_us, now, clock_wall_ms());
}

/* One miss is not believed: where rounds are long, the second is not waited for until the next. */
static bool ask_again(struct polled *n, const char *why)
{
    struct poll *p = n->poll;
    if (p->again_us == 0 || n->again || n->node->state == MODEL_DOWN ||
        strcmp(why, "timed out") != 0)
        return false;
    n->again = true;
    ask_begin(&n->ask, p->request, p->request_len, 0, p->again_us);
    return true;
}

static void polled_ended(struct ask *a, const char *why)
{
    struct polled *n = (struct polled *)a;
    struct poll *p = n->poll;
    uint64_t now = clock_mono_us();
    if (why != NULL)
        model_failed(p->model, n->node, why, now, clock_wall_ms());
    else
        hear(n, now);
    if (why != NULL && ask_again(n, why))
        return;
    ASSERT(p->pending > 0);
    if (--p->pending == 0 && p->is_round)
        end_round(p);
}

static void rest(struct polled *n)
{
    ask_init(&n->ask, &n->poll->asker, &n->place, polled_ended);
    n->ask.body_max = STATS_BYTES_MAX;
    n->ask.only_200 = true;
}

bool poll_add_at(struct poll *p, const char *address, const struct place *place, struct fault *f)
{
    if (strlen(address) >= MODEL_ADDRESS)
        return fault(f, "%.60s...: an address has at most %d bytes", address, MODEL_ADDRESS - 1);
    struct model_node *node = model_add(p->model, address);
    if (node == NULL || p->count == MODEL_NODES_MAX)
        return fault(f, "%s: there are %d nodes already", address, MODEL_NODES_MAX);
    for (uint32_t i = 0; i < p->count; i++)
        if (p->polled[i].node == node)
            return true;
    struct polled *n = &p->polled[p->count++];
    n->poll = p;
    n->place = *place;
    n->node = node;
    rest(n);
    return true;
}

bool poll_add(struct poll *p, const char *address, struct fault *f)
{
    struct place place;
    return place_find(&place, address, f) && poll_add_at(p, address, &place, f);
}

void poll_move(struct poll *p, const char *from, const char *address, const struct place *place)
{
    ASSERT(strlen(address) < MODEL_ADDRESS);
    for (uint32_t i = 0; i < p->count; i++) {
        struct polled *n = &p->polled[i];
        if (n->moves || strcmp(n->node->address, from) != 0)
            continue;
        n->moves = true;
        n->next = *place;
        strcpy(n->next_address, address);
        return;
    }
}

/* Nothing of the old place is left: its connection is closed, its answer forgotten. */
static void move(struct polled *n)
{
    n->moves = false;
    ask_close(&n->ask);
    n->place = n->next;
    rest(n);
    model_move(n->poll->model, n->node, n->next_address, clock_wall_ms());
}

struct model *poll_model(const struct poll *p)
{
    return p->model;
}

void poll_round(struct poll *p, uint64_t timeout_us, uint64_t again_us, void (*done)(void *context),
                void *context)
{
    if (p->is_round)
        end_round(p);
    p->is_round = true;
    p->done = done;
    p->context = context;
    p->again_us = again_us;
    ev_now_update(p->asker.loop);
    uint64_t between = p->count > 0 ? timeout_us / 5 / p->count : 0;
    if (between > BETWEEN_US)
        between = BETWEEN_US;
    for (uint32_t i = 0; i < p->count; i++) {
        struct polled *n = &p->polled[i];
        if (n->ask.step != ASK_REST)
            continue;
        n->has_text = n->again = false;
        if (n->moves)
            move(n);
        ask_begin(&n->ask, p->request, p->request_len, i * between, timeout_us);
        p->pending++;
    }
    if (p->pending == 0) {
        ev_timer_set(&p->empty, 0., 0.);
        ev_timer_start(p->asker.loop, &p->empty);
    }
}

static struct polled *find(struct poll *p, const struct model_node *node)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->polled[i].node == node)
            return &p->polled[i];
    return NULL;
}

const char *poll_text(struct poll *p, const struct model_node *n, size_t *len)
{
    const struct polled *from = find(p, n);
    if (from == NULL || !from->has_text)
        return NULL;
    *len = gather(p, &from->ask);
    return p->text;
}

/* ---- actions -------------------------------------------------------------------------------- */

/* {"code":1,"msg":"ok",...: NULL, or the message; the text is cut behind it. */
static const char *take_outcome(char *text, int *code)
{
    static const char head[] = "{\"code\":", middle[] = ",\"msg\":\"";
    if (strncmp(text, head, sizeof head - 1) != 0)
        return NULL;
    char *end;
    long number = strtol(text + sizeof head - 1, &end, 10);
    if (number < -999 || number > 999 || strncmp(end, middle, sizeof middle - 1) != 0)
        return NULL;
    char *message = end + sizeof middle - 1;
    size_t len = 0;
    while (message[len] >= ' ' && message[len] <= '~' && message[len] != '"')
        len++;
    if (message[len] != '"')
        return NULL;
    message[len] = '\0';
    *code = (int)number;
    return message;
}

static void act_ended(struct ask *a, const char *why)
{
    struct act *act = (struct act *)a;
    int code = 0;
    const char *message = why;
    if (why == NULL) {
        gather(act->poll, a);
        message = take_outcome(act->poll->text, &code);
    }
    ask_close(a);
    act->acted(act->context, act->node, code, message != NULL ? message : "garbage");
}

void poll_act(struct poll *p, const struct model_node *n, const char *path, poll_acted *acted,
              void *context)
{
    const struct polled *to = find(p, n);
    ASSERT(to != NULL);
    struct act *act = p->acts;
    while (act < p->acts + ACTS_MAX && act->ask.step != ASK_REST)
        act++;
    if (act == p->acts + ACTS_MAX) {
        acted(context, n, 0, "too many actions at once");
        return;
    }
    int len = snprintf(act->request, sizeof act->request,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                       "Connection: close\r\n%s\r\n",
                       path, p->token);
    ASSERT(len > 0 && (size_t)len < sizeof act->request);
    act->place = to->place;
    ask_init(&act->ask, &p->asker, &act->place, act_ended);
    act->ask.body_max = ACT_BODY_MAX;
    act->poll = p;
    act->node = n;
    act->acted = acted;
    act->context = context;
    ev_now_update(p->asker.loop);
    ask_begin(&act->ask, act->request, (size_t)len, 0, ACT_TIMEOUT_US);
}
