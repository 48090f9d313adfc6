/*
 * source: the journals that spike-log(8) reads: found through their configurations, opened, walked.
 *
 * Beside a running server, reading takes short LMDB transactions and no lock of the journal.
 * Records are never changed, so the records up to an end that was seen once are a snapshot.
 *
 * Owner: one thread. Allocates: a tool's module, not the server's.
 */
#ifndef SPIKE_LOG_SOURCE_H
#define SPIKE_LOG_SOURCE_H

#include "conf/base/conf.h"
#include "storage/journal/journal.h"

struct source;  /* one journal */
struct sources; /* all that were named */

/* False: stop. */
typedef bool source_visit(void *context, const struct record *r);

/* From here on a signal that a damaged journal causes in its reader ends the program, with a
 * message that names the journal and EXIT_TROUBLE. */
void source_guard(void);

/* Reads the configurations and opens their journals. A journal that no server has open is checked
 * page by page before, or (deep) verified as a server verifies it. NULL: f says why. */
MUST_CHECK struct sources *sources_open(char *const *paths, uint32_t count, bool deep,
                                        struct fault *f);
void sources_close(struct sources *all);
uint32_t sources_count(const struct sources *all);
const struct source *sources_at(const struct sources *all, uint32_t i);

const struct conf *source_conf(const struct source *s);
const char *source_path(const struct source *s); /* the journal's folder */
uint16_t source_node(const struct source *s);
/* A server had the journal open when it was opened here. */
bool source_is_running(const struct source *s);
/* Records of a commit that was interrupted: none has them, and the next server finds them. */
uint64_t source_leftover(const struct source *s);
/* Bytes of the journal that are used, and that it can hold. */
uint64_t source_used_bytes(const struct source *s);
uint64_t source_size_bytes(const struct source *s);

uint32_t source_event_count(const struct source *s);
const char *source_event_name(const struct source *s, uint32_t event);
uint8_t source_slot(const struct source *s, uint32_t event); /* of the event, in order ids */
/* The event's index in this journal, or -1. */
int source_find_event(const struct source *s, const char *name);

/* Reads the seq of the event's last record. */
MUST_CHECK bool source_end(const struct source *s, uint32_t event, uint64_t *end, struct fault *f);
/* Visits the records from .. to, which must exist, in order. */
MUST_CHECK bool source_walk(const struct source *s, uint32_t event, uint64_t from, uint64_t to,
                            source_visit *visit, void *context, struct fault *f);
/* Reads up to max records from `from` on; returns how many, -1 for a fault. */
MUST_CHECK int source_fetch(const struct source *s, uint32_t event, uint64_t from,
                            struct record *out, uint32_t max, struct fault *f);
/* Does the journal's index lead to the record? False: it does not, and f says so. */
MUST_CHECK bool source_check_index(const struct source *s, uint32_t event, const struct record *r,
                                   struct fault *f);

#endif
