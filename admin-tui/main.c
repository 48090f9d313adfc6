/*
 * spike-top: the console on which an operator watches a sale, node by node.
 *
 * Order: options, configuration, token, nodes, then rounds on a screen or on standard output. Only
 * an act that the operator confirms changes anything (act.h). If it dies, the sale goes on.
 */
#include <ev.h>
#include <locale.h>
#include <stdio.h>
#include <unistd.h>

#include "admin-tui/batch.h"
#include "admin-tui/client/token.h"
#include "admin-tui/node_list.h"
#include "admin-tui/screen.h"

#define EXIT_USAGE 2

static struct top {
    struct top_options options;
    struct conf conf;
    bool has_conf;
    char token[TOKEN_BYTES];
} top;

/* The configuration of -c, or, if no node was named either, the one in this folder or where it is
 * installed. */
static bool read_conf(struct fault *f)
{
    static const char *const usual[] = {"spike.conf", "/etc/spike/spike.conf"};
    const char *path = top.options.conf;
    for (size_t i = 0; i < ARRAY_LEN(usual) && path == NULL && top.options.name_count == 0; i++)
        if (access(usual[i], R_OK) == 0)
            path = usual[i];
    top.has_conf = path != NULL;
    return path == NULL || conf_load(&top.conf, path, f);
}

static bool read_token(struct fault *f)
{
    const char *path = top.options.token_file;
    if (path == NULL && top.has_conf && top.conf.admin_token[0] != '\0')
        path = top.conf.admin_token;
    return path == NULL || token_read(top.token, path, f);
}

static int failed(const struct fault *f)
{
    fprintf(stderr, "spike-top: %s\n", f->text);
    return 1;
}

static int run(struct ev_loop *loop, struct model *m, struct feed *feed)
{
    const struct top_options *o = &top.options;
    struct poll *p = feed_poll(feed);
    struct fault f = {""};
    ASSERT(p != NULL);
    if (!node_list_begin(feed, m, o, top.has_conf ? &top.conf : NULL, &f) ||
        !node_list_watch(loop, &f))
        return failed(&f);
    int code = o->batch ? batch_run(loop, m, p, o) : screen_run(loop, m, p, o);
    node_list_end();
    return code;
}

int main(int argc, char **argv)
{
    struct fault f = {"no memory"};
    options_read(&top.options, argc, argv);
    setlocale(LC_CTYPE, ""); /* for the screen; numbers stay as programs read them */
    if (!top.options.batch && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))) {
        fputs("spike-top: this is no terminal; use -b for plain text or -j for JSON\n", stderr);
        return EXIT_USAGE;
    }
    if (!read_conf(&f) || !read_token(&f))
        return failed(&f);
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    struct model *m = model_new();
    if (loop == NULL || m == NULL)
        return failed(&f);
    struct feed *feed =
        feed_new(loop, m, top.token[0] != '\0' ? top.token : NULL, top.options.json);
    if (feed == NULL) {
        model_free(m);
        return failed(&f);
    }
    int code = run(loop, m, feed);
    feed_free(feed);
    model_free(m);
    return code;
}
