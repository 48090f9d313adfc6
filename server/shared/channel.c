#include "server/shared/channel.h"

void channel_plan(struct channel *x, struct arena *a, uint32_t messages)
{
    ASSERT_MAIN();
    x->messages = messages;
    x->orders_pool = ring_plan(a, messages);
    x->verdicts_pool = ring_plan(a, messages);
}

bool channel_init(struct channel *x, const struct arena *a, struct doorbell *ledger,
                  struct fault *f)
{
    ASSERT_MAIN();
    ASSERT(x->messages > 0 && ledger != NULL);
    x->orders = ring_init(a, x->orders_pool, x->messages);
    x->verdicts = ring_init(a, x->verdicts_pool, x->messages);
    x->ledger = ledger;
    atomic_init(&x->yes_done, 0);
    x->worker = doorbell_open(f);
    return x->worker != NULL;
}
