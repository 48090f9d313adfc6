/*
 * poll: see poll.h. Order of effects in a round: poll each node a little after the one before, read
 * what comes, report it at once, and call `done` when no request is under way any more. The text of
 * a response is assembled in one buffer, so a node needs memory only while it answers.
 */
#include "admin-tui/client/poll.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/client/buffers.h"
#include "admin-tui/client/http.h"
#include "conf/base/clock.h"
#include "conf/base/limits.h"

#define REQUEST_BYTES   1024
#define POSTS_MAX       8 /* under way at once */
#define POST_TIMEOUT_US 3000000u
#define POST_BODY_MAX   4096u
#define STAGGER_US      2000u /* between the requests of two nodes, if the round has the time */
#define TEXT_CHUNKS     (POLL_TEXT_MAX / CHUNK_BYTES + 1)
#define SHARED_CHUNKS   (2 * TEXT_CHUNKS) /* two nodes at a time may send as much as they like */

struct polled_node {
    struct poll *poll;
    struct http_conn *conn;
    struct endpoint endpoint;
    void *node;    /* the caller's */
    bool has_text; /* of this round, in the connection's body */
    bool retried;  /* in this round */
    bool moves;    /* to `next`, as soon as no request is under way */
    struct endpoint next;
    char next_address[ENDPOINT_ADDRESS];
};

struct post {
    struct poll *poll;
    struct http_conn *conn;
    const void *node;
    poll_posted *posted;
    void *context;
    char request[REQUEST_BYTES];
};

struct poll {
    struct ev_loop *loop;
    struct http_client *http;
    struct poll_reports reports;
    void *reports_context;
    char token[REQUEST_BYTES / 2]; /* the whole header line, or nothing */
    char request[REQUEST_BYTES];
    size_t request_len;
    bool keep_texts;
    bool is_round;    /* under way */
    uint32_t pending; /* nodes with a request under way */
    uint64_t again_us;
    ev_timer empty; /* ends a round without nodes */
    void (*done)(void *context);
    void *done_context;
    uint32_t count;
    struct polled_node nodes[NODES_MAX];
    struct post posts[POSTS_MAX];
    char text[POLL_TEXT_MAX + 1];
};

static http_done node_done, post_done;

static void end_round(struct poll *p)
{
    ASSERT(p->is_round);
    p->is_round = false;
    p->done(p->done_context);
}

/* A round without nodes ends through the loop, too: `done` never comes before poll_round() returns.
 */
static void end_empty_round(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct poll *p = timer->data;
    (void)loop, (void)events;
    if (p->is_round && p->pending == 0)
        end_round(p);
}

static void make_request(struct poll *p, const char *token)
{
    if (token != NULL) {
        ASSERT(strlen(token) < sizeof p->token - 32);
        snprintf(p->token, sizeof p->token, "Authorization: Bearer %s\r\n", token);
    }
    p->request_len = (size_t)snprintf(p->request, sizeof p->request,
                                      "GET /stats HTTP/1.1\r\nHost: localhost\r\n%s\r\n", p->token);
    ASSERT(p->request_len < sizeof p->request);
}

struct poll *poll_new(struct ev_loop *loop, const char *token, bool keep_texts,
                      const struct poll_reports *reports, void *context)
{
    struct poll *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->http = http_client_new(loop, NODES_MAX + POSTS_MAX,
                              keep_texts ? NODES_MAX * TEXT_CHUNKS : SHARED_CHUNKS);
    if (p->http == NULL) {
        free(p);
        return NULL;
    }
    p->loop = loop;
    p->keep_texts = keep_texts;
    p->reports = *reports;
    p->reports_context = context;
    ev_init(&p->empty, end_empty_round);
    p->empty.data = p;
    make_request(p, token);
    for (int i = 0; i < POSTS_MAX; i++) {
        const struct http_use use = {post_done, &p->posts[i], POST_BODY_MAX, false};
        p->posts[i].poll = p;
        p->posts[i].conn = http_conn_new(p->http, &use);
    }
    return p;
}

void poll_free(struct poll *p)
{
    http_client_free(p->http);
    ev_timer_stop(p->loop, &p->empty);
    free(p);
}

/* Copies the body of the response into p->text; its length. */
static size_t assemble_text(struct poll *p, const struct http_conn *conn)
{
    size_t len = http_body_len(conn);
    ASSERT(len < sizeof p->text);
    http_body_copy(conn, p->text);
    p->text[len] = '\0';
    return len;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static struct polled_node *find_node(struct poll *p, const void *node)
{
    ASSERT(p->count <= NODES_MAX);
    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i].node == node)
            return &p->nodes[i];
    return NULL;
}

bool poll_add_node(struct poll *p, void *node, const char *address, const struct endpoint *e,
                   struct fault *f)
{
    ASSERT(node != NULL && strlen(address) < ENDPOINT_ADDRESS);
    if (find_node(p, node) != NULL)
        return true;
    if (p->count == NODES_MAX)
        return fault(f, "%s: there are %d nodes already", address, NODES_MAX);
    struct polled_node *n = &p->nodes[p->count++];
    const struct http_use use = {node_done, n, POLL_TEXT_MAX, true};
    *n = (struct polled_node){.poll = p, .node = node, .endpoint = *e};
    n->conn = http_conn_new(p->http, &use);
    http_set_endpoint(n->conn, e);
    return true;
}

void poll_move(struct poll *p, void *node, const char *address, const struct endpoint *e)
{
    struct polled_node *n = find_node(p, node);
    ASSERT(n != NULL && strlen(address) < ENDPOINT_ADDRESS);
    if (n->moves)
        return;
    n->moves = true;
    n->next = *e;
    strcpy(n->next_address, address);
}

/* Nothing of the old address remains: its connection is closed, its text dropped. */
static void move_now(struct polled_node *n)
{
    struct poll *p = n->poll;
    ASSERT(n->moves && !n->has_text);
    n->moves = false;
    n->endpoint = n->next;
    http_set_endpoint(n->conn, &n->endpoint);
    p->reports.moved(p->reports_context, n->node, n->next_address);
}

/* ---- rounds --------------------------------------------------------------------------------- */

static void report_answer(struct polled_node *n, uint64_t now_mono_us)
{
    struct poll *p = n->poll;
    size_t len = assemble_text(p, n->conn);
    uint64_t rtt_us = now_mono_us - http_sent_mono_us(n->conn);
    bool is_good =
        p->reports.answered(p->reports_context, n->node, p->text, len, rtt_us, now_mono_us);
    n->has_text = is_good && p->keep_texts;
    if (!n->has_text)
        http_drop_body(n->conn);
}

/* True: the node is polled once more. One time-out can be an accident, and where rounds are long
 * the next one is too far away to find out. */
static bool retry(struct polled_node *n, bool counts_as_alive, const char *why)
{
    struct poll *p = n->poll;
    if (p->again_us == 0 || n->retried || !counts_as_alive || strcmp(why, "timed out") != 0)
        return false;
    n->retried = true;
    http_begin(n->conn, p->request, p->request_len, 0, p->again_us);
    return true;
}

static void node_done(void *owner, const char *failure)
{
    struct polled_node *n = owner;
    struct poll *p = n->poll;
    uint64_t now_mono_us = clock_mono_us();
    ASSERT(p->pending > 0 && !n->has_text);
    if (failure == NULL) {
        report_answer(n, now_mono_us);
    } else {
        bool alive = p->reports.failed(p->reports_context, n->node, failure, now_mono_us);
        if (retry(n, alive, failure))
            return;
    }
    if (--p->pending == 0 && p->is_round)
        end_round(p);
}

/* So that the responses of many nodes do not all come at once. */
static uint64_t stagger_us(const struct poll *p, uint64_t timeout_us)
{
    uint64_t us = p->count > 0 ? timeout_us / 5 / p->count : 0;
    return us < STAGGER_US ? us : STAGGER_US;
}

void poll_round(struct poll *p, uint64_t timeout_us, uint64_t again_us, void (*done)(void *context),
                void *context)
{
    ASSERT(timeout_us > 0 && done != NULL);
    if (p->is_round)
        end_round(p);
    p->is_round = true;
    p->done = done;
    p->done_context = context;
    p->again_us = again_us;
    ev_now_update(p->loop);
    for (uint32_t i = 0; i < p->count; i++) {
        struct polled_node *n = &p->nodes[i];
        if (!http_is_idle(n->conn))
            continue;
        n->has_text = n->retried = false;
        if (n->moves)
            move_now(n);
        http_begin(n->conn, p->request, p->request_len, i * stagger_us(p, timeout_us), timeout_us);
        p->pending++;
    }
    ASSERT(p->pending <= p->count);
    if (p->pending == 0) {
        ev_timer_set(&p->empty, 0., 0.);
        ev_timer_start(p->loop, &p->empty);
    }
}

const char *poll_text(struct poll *p, const void *node, size_t *len)
{
    const struct polled_node *n = find_node(p, node);
    if (n == NULL || !n->has_text)
        return NULL;
    ASSERT(p->keep_texts);
    *len = assemble_text(p, n->conn);
    return p->text;
}

/* ---- posts ---------------------------------------------------------------------------------- */

/* {"code":1,"msg":"ok",...: the message, cut off behind it, and *code. NULL: this is not it. */
static const char *parse_outcome(char *text, int *code)
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

static void post_done(void *owner, const char *failure)
{
    struct post *post = owner;
    struct poll *p = post->poll;
    int code = 0;
    const char *message = failure;
    ASSERT(post->posted != NULL);
    if (failure == NULL) {
        assemble_text(p, post->conn);
        message = parse_outcome(p->text, &code);
    }
    http_close(post->conn);
    post->posted(post->context, post->node, code, message != NULL ? message : "garbage");
}

static struct post *free_post(struct poll *p)
{
    for (int i = 0; i < POSTS_MAX; i++)
        if (http_is_idle(p->posts[i].conn))
            return &p->posts[i];
    return NULL;
}

void poll_post(struct poll *p, const void *node, const char *path, poll_posted *posted,
               void *context)
{
    const struct polled_node *to = find_node(p, node);
    struct post *post = free_post(p);
    ASSERT(to != NULL && path[0] == '/');
    if (post == NULL) {
        posted(context, node, 0, "too many actions at once");
        return;
    }
    int len = snprintf(post->request, sizeof post->request,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                       "Connection: close\r\n%s\r\n",
                       path, p->token);
    ASSERT(len > 0 && (size_t)len < sizeof post->request);
    post->node = node;
    post->posted = posted;
    post->context = context;
    http_set_endpoint(post->conn, &to->endpoint);
    ev_now_update(p->loop);
    http_begin(post->conn, post->request, (size_t)len, 0, POST_TIMEOUT_US);
}
