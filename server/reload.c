#include "server/reload.h"

#include <string.h>

#include "conf/base/log.h"

static const char *const reloadable[] = {"log-level",      "header-timeout", "idle-timeout",
                                         "answer-timeout", "redis-timeout",  "local-stock"};

void reload_publish(const struct conf *running, const struct conf *updated, struct board *board)
{
    struct board_tunables *t = &board->tunables;
    atomic_store(&t->header_timeout_ms, updated->header_timeout_ms);
    atomic_store(&t->idle_timeout_ms, updated->idle_timeout_ms);
    atomic_store(&t->answer_timeout_ms, updated->answer_timeout_ms);
    atomic_store(&t->redis_timeout_ms, updated->redis_timeout_ms);
    for (uint32_t i = 0; i < running->event_count; i++) {
        const struct conf_event *e = conf_find_event(updated, running->events[i].name);
        if (e != NULL)
            atomic_store(&board->events[i].local_stock, e->local_stock);
    }
    log_set_level((enum log_level)updated->log_level);
}

/* Compared with the configuration the server started with: a setting that was reloaded before and
 * has gone back to it is not named, but it is published all the same. */
static void log_change(void *context, const char *event, const char *setting)
{
    bool is_reloaded = false;
    (void)context;
    for (size_t i = 0; i < ARRAY_LEN(reloadable); i++)
        is_reloaded |= strcmp(setting, reloadable[i]) == 0;
    log_line(is_reloaded ? LOG_INFO : LOG_WARN, "reload: %s%s%s %s", event != NULL ? event : "",
             event != NULL ? ": " : "", setting,
             is_reloaded ? "is as in the file now" : "changes with a restart only");
}

void reload(const struct conf *running, const struct conf *updated, struct board *board)
{
    reload_publish(running, updated, board);
    conf_diff(running, updated, log_change, NULL);
    log_line(LOG_INFO, "reload: done");
}
