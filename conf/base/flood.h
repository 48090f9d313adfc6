/*
 * flood: which lines of a log are suppressed, because they repeat what was just written.
 *
 * A text like the last one is counted and not written. A text that other lines separate from its
 * last occurrence may be a new fact (down, up, down): it is written FLOOD_PER_MINUTE times a
 * minute, and then counted, too. Counts are reported once a minute. Only the last FLOOD_TEXTS texts
 * are known: the count of a text that is displaced is reported first.
 *
 * Pure: time is an argument. Owner: the caller that holds the struct. Texts are compared by their
 * hash.
 */
#ifndef SPIKE_FLOOD_H
#define SPIKE_FLOOD_H

#include <stdint.h>
#include <string.h>

#include "conf/base/check.h"

#define FLOOD_TEXTS      16
#define FLOOD_TEXT       400 /* bytes that are kept for the report of the count */
#define FLOOD_PER_MINUTE 5
#define FLOOD_MINUTE_US  UINT64_C(60000000)

struct flood_text {
    uint64_t hash; /* 0: a free slot */
    uint64_t since_mono_us;
    uint32_t written, suppressed; /* lines since then */
    int level;
    char text[FLOOD_TEXT];
};

struct flood {
    struct flood_text texts[FLOOD_TEXTS];
    uint64_t last; /* hash of the text that was written last */
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
    ASSERT(t->hash != 0);
    return now_mono_us >= t->since_mono_us + FLOOD_MINUTE_US;
}

/* NULL: the text is not known. */
static inline struct flood_text *flood_find(struct flood *f, uint64_t hash)
{
    for (uint32_t i = 0; i < FLOOD_TEXTS; i++)
        if (f->texts[i].hash == hash)
            return &f->texts[i];
    return NULL;
}

/* The slot for a new text: a free one, or else that of the oldest text. */
static inline struct flood_text *flood_slot(struct flood *f)
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

/* Moves the count into *report; further lines are counted for another minute. */
static inline void flood_collect(struct flood_text *t, uint64_t now_mono_us,
                                 struct flood_text *report)
{
    ASSERT(t->suppressed > 0);
    *report = *t;
    t->since_mono_us = now_mono_us;
    t->written = FLOOD_PER_MINUTE;
    t->suppressed = 0;
}

/* A text whose minute is not over. True: write it. */
static inline bool flood_repeat(struct flood *f, struct flood_text *t)
{
    if (f->last == t->hash || t->written >= FLOOD_PER_MINUTE) {
        t->suppressed++;
        return false;
    }
    t->written++;
    f->last = t->hash;
    return true;
}

/* True: write the text. *report: if its `suppressed` is not 0, a count to be written before the
 * text, or instead of it. */
static inline bool flood_admit(struct flood *f, int level, const char *text, uint64_t now_mono_us,
                               struct flood_text *report)
{
    uint64_t hash = flood_hash(level, text);
    struct flood_text *t = flood_find(f, hash);
    report->suppressed = 0;
    if (t != NULL && flood_is_old(t, now_mono_us) && t->suppressed > 0) {
        t->suppressed++;
        flood_collect(t, now_mono_us, report);
        return false;
    }
    if (t != NULL && !flood_is_old(t, now_mono_us))
        return flood_repeat(f, t);
    if (t == NULL)
        t = flood_slot(f);
    if (t->hash != 0 && t->suppressed > 0)
        *report = *t;
    *t = (struct flood_text){
        .hash = hash, .since_mono_us = now_mono_us, .written = 1, .level = level};
    size_t len = strnlen(text, FLOOD_TEXT - 1);
    memcpy(t->text, text, len); /* the rest is 0 */
    f->last = hash;
    return true;
}

/* To be called regularly: a text that was counted and whose minute is over (`all`: any text) goes
 * into *report. False: there is none. A flood that continues is counted further; a text that was
 * not counted in its minute is forgotten. */
static inline bool flood_report(struct flood *f, uint64_t now_mono_us, bool all,
                                struct flood_text *report)
{
    for (uint32_t i = 0; i < FLOOD_TEXTS; i++) {
        struct flood_text *t = &f->texts[i];
        if (t->hash == 0 || (!all && !flood_is_old(t, now_mono_us)))
            continue;
        if (t->suppressed > 0) {
            flood_collect(t, now_mono_us, report);
            return true;
        }
        if (!all)
            t->hash = 0;
    }
    return false;
}

#endif
