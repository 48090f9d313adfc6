/*
 * journal: the LMDB log of a node, in one directory. Only this folder includes lmdb.h.
 *
 * Every event has two named databases: seq -> record (record.h), appended, never changed; and an
 * index, order number -> seq of its grant and of the last record that refers to it, so that any
 * order can be found without holding it in memory. All events of a step are committed in one
 * transaction, and journal_commit() returns when it is synced (P2): LMDB's default mode, never
 * NOSYNC, NOMETASYNC or WRITEMAP. A third database, the catalog, holds the format version, the
 * node's number, and the slot of each event (a slot never changes: it is part of order ids).
 *
 * A failed commit is final: the journal is poisoned, and the caller logs the fault and exits. The
 * next start decides what has reached the disk. A full map is no failure: journal_free_records()
 * says so beforehand, and the ledger sells nothing that would not fit.
 *
 * Owner: the thread that opened it, until journal_hand_over(): main opens the journal and reads it,
 * then the ledger thread owns it. Every function but journal_open(), journal_open_reader() and
 * journal_close() asserts that the owner calls. Processes that only read (spike-log) use
 * journal_open_reader().
 */
#ifndef SPIKE_JOURNAL_H
#define SPIKE_JOURNAL_H

#include "conf/base/fault.h"
#include "storage/journal/record.h"

struct journal;

struct journal_options {
    const char *dir;                /* created (0700) if its parent exists */
    uint64_t size;                  /* bytes of the map */
    uint16_t node;                  /* 1 .. NODE_MAX */
    const char *events[EVENTS_MAX]; /* these must outlive the journal */
    uint32_t event_count;
    /* By event: how many orders it may have at most, and whether they are held first. */
    uint64_t orders[EVENTS_MAX]; /* 0: unknown, the file grows as it is used */
    bool holds[EVENTS_MAX];
};

/* Locks the directory (a second opener fails: "in use by another spike-server"), verifies what is
 * there in a child process, and opens it for reading. A journal that exists stays as it is, byte by
 * byte, until journal_begin(); a directory without one gets one. NULL: f says what is wrong, where,
 * and what to do. Before any other thread is started: it forks. */
MUST_CHECK struct journal *journal_open(const struct journal_options *o, struct fault *f);
/* Before the first append, when it is certain that this journal may be written to: gives new events
 * their databases and allocates the disk space that the orders will need, up to `size`, so that no
 * commit waits for the file to grow. Called again: true at once. False: f says what is wrong, and
 * the journal can only be closed. */
MUST_CHECK bool journal_begin(struct journal *j, struct fault *f);
/* From now on the thread with this role owns the journal. Before that thread is started, or by the
 * owner. */
void journal_hand_over(struct journal *j, enum thread_role owner);
/* Read-only, without the lock and without verifying; beside a running server. */
MUST_CHECK struct journal *journal_open_reader(const char *dir, struct fault *f);
/* By the owner; or by main, when the owner's thread has ended. */
void journal_close(struct journal *j);

/* Nothing has ever been written to it. */
bool journal_is_new(const struct journal *j);
/* Events are named by their index in options.events, by a reader by their slot. A reader knows the
 * events that existed when it opened, and their ends as of then or of its last read. */
uint32_t journal_event_count(const struct journal *j);
const char *journal_event_name(const struct journal *j, uint32_t event);
uint16_t journal_node(const struct journal *j);
uint8_t journal_slot(const struct journal *j, uint32_t event);
/* seq of the last record, 0 for none; counts what was appended and not yet committed. */
uint64_t journal_end(const struct journal *j, uint32_t event);
/* seq of the last committed record, 0 for none. */
uint64_t journal_committed(const struct journal *j, uint32_t event);

/* Puts r behind the event's last record, with the next seq (stored in r->seq) and the given time,
 * and updates the index: a grant's number must be above all others, and other records of an order
 * must refer to one that was granted. The first append after a commit begins the transaction. A
 * failure is remembered and reported by the commit. */
void journal_append(struct journal *j, uint32_t event, struct record *r, uint64_t now_wall_ms);
/* Syncs what was appended; nothing appended: true at once. False is final. */
MUST_CHECK bool journal_commit(struct journal *j, struct fault *f);

/* The CRC of the committed record at seq, to which all records before it contribute; 0 for seq 0.
 * Two journals with the same CRC at a seq are the same up to there. False: f says why. */
MUST_CHECK bool journal_chain(struct journal *j, uint32_t event, uint64_t seq, uint32_t *chain,
                              struct fault *f);
/* Reads committed records from seq `from` (at least 1) on into out[0..max) and returns how many, 0
 * at the end. -1: damaged, f says where. */
MUST_CHECK int journal_read(struct journal *j, uint32_t event, uint64_t from, struct record *out,
                            uint32_t max, struct fault *f);

/* The order in its current state, including what was appended and not yet committed: its grant, and
 * the last record that refers to it (the grant again if nothing has happened since). 1: found; 0:
 * no such order (the number of a LATE is none); -1: damaged, f says where. */
MUST_CHECK int journal_order(struct journal *j, uint32_t event, uint64_t number,
                             struct record *grant, struct record *last, struct fault *f);

/* Visits all committed records in order and reads a few at a time: LMDB may use pages again while
 * the visitor works, however slow it is, and the visitor may call any function but journal_walk().
 * The visitor returns false to stop; the walk then returns true, for stopping is no fault. */
typedef bool journal_visit(void *context, const struct record *r);
MUST_CHECK bool journal_walk(struct journal *j, uint32_t event, journal_visit *visit, void *context,
                             struct fault *f);

/* How many more records of RECORD_BYTES_MAX surely fit, in any number of commits that each change
 * at most OPS_MAX + EXPIRE_MAX + BATCH_MAX orders (and grant any number), beside the pages that
 * commits need to work in. A result remains valid for that many records, even if later results fall
 * faster. It rises only when the disk was the limit and has free space again. (A process that stays
 * in one LMDB read transaction keeps pages from being used again; spike-log leaves it after every
 * call.) */
uint64_t journal_free_records(const struct journal *j);
uint64_t journal_used_bytes(const struct journal *j);
uint64_t journal_size_bytes(const struct journal *j);

#endif
