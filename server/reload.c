#include "server/reload.h"

#include <string.h>

#include "conf/base/log.h"

static const char *const reloadable[] = {"log-level",      "header-timeout", "idle-timeout",
                                         "answer-timeout", "redis-timeout",  "local-stock"};

void reload_publish(const struct conf *running, const struct conf *fresh, struct board *board)
{
    struct board_tunables *t = &board->tunables;
    atomic_store(&t->header_timeout_ms, fresh->header_timeout_ms);
    atomic_store(&t->idle_timeout_ms, fresh->idle_timeout_ms);
    atomic_store(&t->answer_timeout_ms, fresh->answer_timeout_ms);
    atomic_store(&t->redis_timeout_ms, fresh->redis_timeout_ms);
    for (uint32_t i = 0; i < running->event_count; i++) {
        const struct conf_event *e = conf_find_event(fresh, running->events[i].name);
        if (e != NULL)
            atomic_store(&board->events[i].local_stock, e->local_stock);
    }
    log_set_level((enum log_level)fresh->log_level);
}

/* Told against the configuration the server started with: a setting that was reloaded before and
 * has gone back to it is not named, but it is published all the same. */
static void tell(void *context, const char *event, const char *setting)
{
    bool taken = false;
    (void)context;
    for (size_t i = 0; i < ARRAY_LEN(reloadable); i++)
        taken |= strcmp(setting, reloadable[i]) == 0;
    log_line(taken ? LOG_INFO : LOG_WARN, "reload: %s%s%s %s", event != NULL ? event : "",
             event != NULL ? ": " : "", setting,
             taken ? "is as in the file now" : "changes with a restart only");
}

void reload(const struct conf *running, const struct conf *fresh, struct board *board)
{
    reload_publish(running, fresh, board);
    conf_diff(running, fresh, tell, NULL);
    log_line(LOG_INFO, "reload: done");
}
