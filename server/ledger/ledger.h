/*
 * ledger: the one thread that sells. Orders, the journal and the stock are its alone, so nothing
 * needs a lock; turn.c says in which order a sale takes effect.
 *
 * Owner: main makes it, its own thread runs it; ledger_stop and ledger_bell: any thread.
 */
#ifndef SPIKE_LEDGER_H
#define SPIKE_LEDGER_H

#include "conf/base/arena.h"
#include "conf/base/conf.h"
#include "server/shared/board.h"
#include "server/shared/channel.h"
#include "storage/journal/journal.h"

struct ledger;

struct ledger *ledger_plan(const struct conf *conf, struct arena *a);
/* Reads what the journal adds up to. `channels`: one per worker, and the operators' last. */
MUST_CHECK bool ledger_init(struct ledger *l, const struct arena *a, struct journal *journal,
                            struct board *board, struct channel *channels, uint32_t channel_count,
                            struct fault *f);
/* What the workers ring. */
struct doorbell *ledger_bell(struct ledger *l);
/* The body of the ledger's thread; returns after ledger_stop. What cannot be survived (a failed
 * commit, a journal of another) ends the process with exit code 1, said plainly. */
void *ledger_run(void *ledger);
/* Once the workers have stopped: settle, give back what is in doubt, return. */
void ledger_stop(struct ledger *l);

#endif
