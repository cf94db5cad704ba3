#define _GNU_SOURCE
#include "call.h"

#include <sys/random.h>

#define T2_OF_T1 8       /* the default T2 is 4 s, the default T1 half a second */
#define TIMER_F_OF_T1 64

void calls_init(struct calls *calls, const struct options *options)
{
    uint64_t t1 = (uint64_t)(options->t1 * 1e9);
    uint32_t run;
    /* A run may not use the branches of the one before: the server still knows those. */
    if (getrandom(&run, sizeof run, 0) != sizeof run)
        fail("no random numbers");
    calls->last_number = (uint64_t)run << 32;
    calls->table = allocate_zeroed(CALLS_KEPT, sizeof *calls->table);
    calls->retransmit = options->retransmit && !options->tcp;
    for (int i = 0; i <= QUEUE_T2; i++)
        calls->intervals[i] = t1 << i;
    calls->intervals[QUEUE_F] = TIMER_F_OF_T1 * t1;
}

static void append(struct calls *calls, struct call *call, enum call_queue queue, uint64_t now)
{
    struct call_list *list = &calls->queues[queue];
    call->queue = (uint8_t)queue;
    call->fires_at = now + calls->intervals[queue];
    call->previous = list->last;
    call->next = NULL;
    *(list->last ? &list->last->next : &list->first) = call;
    list->last = call;
}

static void unlink_call(struct calls *calls, struct call *call)
{
    struct call_list *list = &calls->queues[call->queue];
    *(call->previous ? &call->previous->next : &list->first) = call->next;
    *(call->next ? &call->next->previous : &list->last) = call->previous;
}

static struct call *slot_of(const struct calls *calls, uint64_t number)
{
    return &calls->table[number % CALLS_KEPT];
}

struct call *call_begin(struct calls *calls, enum call_kind kind, struct user *user, uint64_t due, uint64_t now)
{
    struct call *call = slot_of(calls, ++calls->last_number);
    if (call->pending)
        fail("more than %u requests begun while one was pending", CALLS_KEPT);
    *call = (struct call){
        .number = calls->last_number, .user = user, .due = due, .sent_at = now, .kind = (uint8_t)kind, .pending = true,
    };
    calls->pending++;
    append(calls, call, calls->retransmit ? QUEUE_T1 : QUEUE_F, now);
    return call;
}

struct call *calls_find(const struct calls *calls, uint64_t number)
{
    struct call *call = slot_of(calls, number);
    return call->number == number && number ? call : NULL;
}

void call_proceed(struct call *call)
{
    call->proceeding = true;
}

void call_end(struct calls *calls, struct call *call)
{
    unlink_call(calls, call);
    call->pending = false;
    calls->pending--;
}

/* Timer E would come after timer F: the time until then is waited in short steps. */
static enum call_queue next_queue(const struct calls *calls, struct call *call, uint64_t now)
{
    uint64_t left = call->sent_at + calls->intervals[QUEUE_F] - now;
    enum call_queue queue = call->proceeding || call->queue >= QUEUE_T2 ? QUEUE_T2 : call->queue + 1;
    call->exhausted |= left < calls->intervals[queue];
    return call->exhausted ? QUEUE_T1 : queue;
}

static void fire(struct calls *calls, struct call *call, uint64_t now)
{
    if (now >= call->sent_at + calls->intervals[QUEUE_F]) {
        call_end(calls, call);
        calls->timed_out(call, calls->context);
        return;
    }
    bool silent = call->exhausted;
    enum call_queue queue = next_queue(calls, call, now);
    unlink_call(calls, call);
    append(calls, call, queue, now);
    if (silent)
        return;
    calls->retransmissions++;
    calls->retransmitted(call, calls->context);
}

void calls_fire(struct calls *calls, uint64_t now)
{
    for (int i = 0; i < QUEUES; i++)
        while (calls->queues[i].first && calls->queues[i].first->fires_at <= now)
            fire(calls, calls->queues[i].first, now);
}
