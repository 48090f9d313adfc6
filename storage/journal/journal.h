/*
 * journal: the LMDB log of a node, one directory, and with the files beside it the only user of
 * lmdb.h.
 *
 * Every event has two named databases: seq -> record (record.h), appended, never changed; and an
 * index, order number -> seq of its grant and of the last record that speaks of it, so that any
 * order can be found without holding it in memory. The index holds nothing that the records do not
 * say; the verifier compares the two. All events of a step are committed in one transaction, and
 * journal_commit() returns when it is synced (P2):
 * LMDB's default mode, never NOSYNC, NOMETASYNC or WRITEMAP. An unnamed entry holds the format
 * version, the node's number, and the slot of each event name (a slot never changes, it is part of
 * order ids).
 *
 * A failed commit is final: the struct is poisoned, the caller says why and exits. What has reached
 * the disk is then settled by the next start. A full map is no failure: journal_free_records()
 * tells before, and the ledger sells nothing that would not fit.
 *
 * Owner: the ledger thread (journal_open and journal_begin may run on main, before the ledger
 * starts). Readers in
 * other processes (spike-log) use journal_open_reader.
 */
#ifndef SPIKE_JOURNAL_H
#define SPIKE_JOURNAL_H

#include "conf/base/fault.h"
#include "storage/journal/record.h"

struct journal;

struct journal_options {
    const char *dir; /* made (0700) if its parent exists */
    uint64_t size;   /* bytes of the map */
    uint16_t node;
    const char *events[EVENTS_MAX];
    uint32_t event_count;
    /* By event: how many orders it may come to, and whether they are held first. */
    uint64_t orders[EVENTS_MAX]; /* 0: not known, the file grows as it is used */
    bool holds[EVENTS_MAX];
};

/* Locks the directory (a second opener fails: "in use by another spike-server"), verifies what is
 * there in a child process and opens it, for reading: a journal that is there stays as it is, byte
 * by byte, until journal_begin(). A directory without one gets one. NULL: f says what is wrong,
 * where, and what to do. */
MUST_CHECK struct journal *journal_open(const struct journal_options *o, struct fault *f);
/* Before the first append, once it is sure that this journal may be written to: gives new events
 * their databases and takes the room on the disk that the orders will need, up to `size`, so that
 * no commit waits for the file to grow. Again: true at once. False: f says what is wrong. */
MUST_CHECK bool journal_begin(struct journal *j, struct fault *f);
/* Nothing has ever been written to it. */
bool journal_is_new(const struct journal *j);
/* Read-only, without the lock and without verifying; beside a running server. */
MUST_CHECK struct journal *journal_open_reader(const char *dir, struct fault *f);
void journal_close(struct journal *j);

/* Events are named by their index in options.events; a reader's by their slot. A reader knows the
 * events that were there when it opened, and their ends as of then or of its last read. */
uint32_t journal_event_count(const struct journal *j);
const char *journal_event_name(const struct journal *j, uint32_t event);
uint16_t journal_node(const struct journal *j);
uint8_t journal_slot(const struct journal *j, uint32_t event);
/* seq of the last record, 0 for none. Counts what was appended and not yet committed. */
uint64_t journal_end(const struct journal *j, uint32_t event);
/* ... of the last one that is committed. */
uint64_t journal_committed(const struct journal *j, uint32_t event);

/* Puts r behind the event's last record, with the next seq (stored in r->seq) and the given time,
 * and tells the index: a grant's number must be above all others, and other records must speak of
 * an order that was granted. The first append after a commit begins the transaction. A failure is
 * remembered and reported by the commit. */
void journal_append(struct journal *j, uint32_t event, struct record *r, uint64_t now_wall_ms);
/* Syncs what was appended; nothing appended: true at once. False is final. */
MUST_CHECK bool journal_commit(struct journal *j, struct fault *f);

/* The CRC of the committed record at seq, to which all records before it have contributed; 0 for
 * seq 0. Two journals with the same CRC at a seq are the same up to there. False: f says why. */
MUST_CHECK bool journal_chain(struct journal *j, uint32_t event, uint64_t seq, uint32_t *chain,
                              struct fault *f);
/* Reads committed records from seq `from` on into out[0..max); answers how many, 0 at the end.
 * -1: damaged, f says where. */
MUST_CHECK int journal_read(struct journal *j, uint32_t event, uint64_t from, struct record *out,
                            uint32_t max, struct fault *f);

/* The order as it stands, what was appended and not yet committed included: its grant, and the last
 * record that speaks of it (the grant again if nothing has happened since). 1; 0: no such order (a
 * LATE's own number is none); -1: damaged, f says where. */
MUST_CHECK int journal_order(struct journal *j, uint32_t event, uint64_t number,
                             struct record *grant, struct record *last, struct fault *f);

/* Walks all committed records in order, a few at a time: LMDB may reuse pages while the visitor is
 * at work, however slow it is, and the visitor may call anything but journal_walk. The visitor
 * returns false to stop (then so does the walk, with true: stopping is no fault). */
typedef bool journal_visit(void *context, const struct record *r);
MUST_CHECK bool journal_walk(struct journal *j, uint32_t event, journal_visit *visit, void *context,
                             struct fault *f);

/* How many more records of RECORD_BYTES_MAX surely fit, in however many commits that each change at
 * most OPS_MAX + EXPIRE_MAX + BATCH_MAX orders (and grant any number), beyond the pages that
 * commits themselves need to work in. What it has once answered holds for that many records, even
 * if its later answers fall faster. Rises only when the disk was what lacked and has room again. (A
 * process that stays in one LMDB read transaction keeps pages from being used again; our readers
 * leave it after every call.) */
uint64_t journal_free_records(const struct journal *j);
uint64_t journal_used_bytes(const struct journal *j);
uint64_t journal_size_bytes(const struct journal *j);

#endif
