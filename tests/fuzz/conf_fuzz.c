/*
 * Why: whatever a configuration file contains, the result is FILE:LINE with a message, or a
 * configuration whose values are consistent. Never a crash, never an error without a line.
 */
/* needs: conf/base/conf.c conf/base/conf_addr.c conf/base/conf_finish.c conf/base/conf_lex.c
 * conf/base/conf_settings.c conf/base/conf_value.c conf/base/fault.c conf/base/check.c */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/base/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "PATH:LINE: something" in one line; the path may be that of an included file. */
static void check_error(const char *text)
{
    const char *at = text;
    while ((at = strchr(at, ':')) != NULL) {
        size_t digits = strspn(at + 1, "0123456789");
        if (digits > 0 && at[1] != '0' && strncmp(at + 1 + digits, ": ", 2) == 0)
            break;
        at++;
    }
    ASSERT(at != NULL && at > text);
    ASSERT(strlen(text) == FAULT_TEXT - 1 || at[strlen(at) - 1] != ' ');
    ASSERT(strpbrk(text, "\n\r") == NULL);
}

static void check_conf(const struct conf *conf)
{
    bool has_own = false;
    ASSERT(conf->node >= 1 && conf->node_count >= 1 && conf->node_count <= NODES_MAX);
    for (uint32_t i = 0; i < conf->node_count; i++) {
        ASSERT(i == 0 || conf->nodes[i - 1] < conf->nodes[i]);
        has_own = has_own || conf->nodes[i] == conf->node;
    }
    ASSERT(has_own);
    ASSERT(conf->listen_count >= 1 && conf->listen_count <= LISTEN_MAX);
    ASSERT(conf->event_count >= 1 && conf->event_count <= EVENTS_MAX);
    ASSERT(conf->workers >= 1 && conf->workers <= WORKERS_MAX && conf->connections >= 1);
    ASSERT(conf->journal[0] != '\0' && memchr(conf->journal, '\0', PATH_TEXT_MAX) != NULL);
    ASSERT(conf->journal_size >= 4096 && conf->journal_size % 4096 == 0);
    for (uint32_t i = 0; i < conf->event_count; i++) {
        const struct conf_event *e = &conf->events[i];
        ASSERT(strlen(e->name) >= 1 && strlen(e->name) <= EVENT_NAME_MAX);
        ASSERT(e->total >= 1 && e->total <= e->stock_max && e->stock_max <= TICKETS_MAX);
        ASSERT(e->max_order >= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct conf conf;
    static int fd = -1;
    struct fault f;
    char path[32];
    if (fd < 0)
        fd = memfd_create("conf", MFD_CLOEXEC);
    ASSERT(fd >= 0 && ftruncate(fd, 0) == 0);
    ASSERT(pwrite(fd, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memset(&f, 0, sizeof f);
    if (conf_load(&conf, path, &f))
        check_conf(&conf);
    else
        check_error(f.text);
    return 0;
}
