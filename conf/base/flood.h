/*
 * flood: which lines of a log need not be written, because they say again what was just said.
 *
 * A text like the last one is counted instead of said. One that others stood between may be a new
 * fact (down, up, down): it is said FLOOD_SAID times a minute, and then counted, too. What was
 * counted is told once a minute. Only the last FLOOD_TEXTS texts are known: a text that is
 * forgotten is told with its count first.
 *
 * Pure; time is an argument; the owner is who has the struct. Texts are compared by their hash.
 */
#ifndef SPIKE_FLOOD_H
#define SPIKE_FLOOD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FLOOD_TEXTS     16
#define FLOOD_TEXT      400 /* bytes that are kept, for when the count is told */
#define FLOOD_SAID      5
#define FLOOD_MINUTE_US UINT64_C(60000000)

struct flood_text {
    uint64_t hash; /* 0: a free place */
    uint64_t since_mono_us;
    uint32_t said, counted; /* since then */
    int level;
    char text[FLOOD_TEXT];
};

struct flood {
    struct flood_text texts[FLOOD_TEXTS];
    uint64_t last; /* hash of what was said last */
};

/* FNV-1a (G. Fowler, L. C. Noll, K. Vo). */
static inline uint64_t flood_hash(int level, const char *text)
{
    uint64_t hash = (UINT64_C(0xcbf29ce484222325) ^ (uint64_t)level) * UINT64_C(0x100000001b3);
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash != 0 ? hash : 1;
}

static inline bool flood_is_old(const struct flood_text *t, uint64_t now_mono_us)
{
    return now_mono_us >= t->since_mono_us + FLOOD_MINUTE_US;
}

/* A place for a text that is new: one that is free, or else the oldest. */
static inline struct flood_text *flood_place(struct flood *f)
{
    struct flood_text *oldest = &f->texts[0];
    for (uint32_t i = 0; i < FLOOD_TEXTS; i++) {
        if (f->texts[i].hash == 0)
            return &f->texts[i];
        if (f->texts[i].since_mono_us < oldest->since_mono_us)
            oldest = &f->texts[i];
    }
    return oldest;
}

/* What was counted is told now; the next ones are counted for a minute, too. */
static inline void flood_take(struct flood_text *t, uint64_t now_mono_us, struct flood_text *told)
{
    *told = *t;
    t->since_mono_us = now_mono_us;
    t->said = FLOOD_SAID;
    t->counted = 0;
}

/* True: say it. *told: what is to be told before, or instead, if its `counted` is not 0. */
static inline bool flood_say(struct flood *f, int level, const char *text, uint64_t now_mono_us,
                             struct flood_text *told)
{
    uint64_t hash = flood_hash(level, text);
    struct flood_text *t = NULL;
    told->counted = 0;
    for (uint32_t i = 0; i < FLOOD_TEXTS; i++)
        if (f->texts[i].hash == hash)
            t = &f->texts[i];
    if (t != NULL && flood_is_old(t, now_mono_us) && t->counted > 0) {
        t->counted++;
        flood_take(t, now_mono_us, told);
        return false;
    }
    if (t != NULL && !flood_is_old(t, now_mono_us)) {
        if (f->last == hash || t->said >= FLOOD_SAID) {
            t->counted++;
            return false;
        }
        t->said++;
        f->last = hash;
        return true;
    }
    if (t == NULL)
        t = flood_place(f);
    if (t->hash != 0 && t->counted > 0)
        *told = *t;
    *t = (struct flood_text){.hash = hash, .since_mono_us = now_mono_us, .said = 1, .level = level};
    size_t len = strnlen(text, FLOOD_TEXT - 1);
    memcpy(t->text, text, len); /* the rest is 0 */
    f->last = hash;
    return true;
}

/* Once in a while: a text whose minute is over (all: any) and that was counted, into *told; false:
 * there is none. A flood that goes on is counted on; what has become quiet is forgotten. */
static inline bool flood_tell(struct flood *f, uint64_t now_mono_us, bool all,
                              struct flood_text *told)
{
    for (uint32_t i = 0; i < FLOOD_TEXTS; i++) {
        struct flood_text *t = &f->texts[i];
        if (t->hash == 0 || (!all && !flood_is_old(t, now_mono_us)))
            continue;
        if (t->counted > 0) {
            flood_take(t, now_mono_us, told);
            return true;
        }
        if (!all)
            t->hash = 0;
    }
    return false;
}

#endif
