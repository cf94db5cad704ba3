#define _GNU_SOURCE
#include "traffic.h"

#include "pager.h"

static bool has_room(const struct traffic *traffic, const struct user *user)
{
    int window = traffic->site->options->window;
    return user->partner && (!window || user->outstanding < window);
}

static void send_one(struct traffic *traffic, struct user *user, uint64_t due, uint64_t now)
{
    traffic->left--;
    pager_send(traffic->site, user, due, now);
}

/* The next user in turn that may send; NULL when all windows are full. */
static struct user *next_sender(struct traffic *traffic)
{
    struct site *site = traffic->site;
    for (int tried = 0; tried < site->user_count; tried++) {
        struct user *user = &site->users[traffic->next];
        traffic->next = (traffic->next + 1) % site->user_count;
        if (has_room(traffic, user))
            return user;
    }
    return NULL;
}

static void fill_windows(struct traffic *traffic)
{
    uint64_t now = now_ns();
    for (struct user *user; traffic->left && (user = next_sender(traffic));)
        send_one(traffic, user, now, now);
}

/* A message that had to wait is late from when it was due: a slow server can't hide by slowing the generator. */
static void release_due(struct traffic *traffic)
{
    uint64_t now = now_ns(), wanted = (uint64_t)((double)(now - traffic->began) / 1e9 * traffic->rate) + 1;
    while (traffic->released < wanted && traffic->left) {
        struct user *user = next_sender(traffic);
        if (!user)
            return;
        send_one(traffic, user, traffic->began + (uint64_t)((double)traffic->released / traffic->rate * 1e9), now);
        traffic->released++;
    }
}

void traffic_change_rate(struct traffic *traffic, double rate)
{
    traffic->rate = rate;
    traffic->began = now_ns();
    traffic->released = 0;
}

void traffic_start(struct traffic *traffic, struct site *site, double rate, uint64_t most)
{
    *traffic = (struct traffic){.site = site, .sending = true, .left = most};
    traffic_change_rate(traffic, rate);
    if (rate == 0)
        fill_windows(traffic);
    flows_flush(&site->flows);
}

void traffic_answered(struct traffic *traffic, struct user *user)
{
    if (!traffic->sending || traffic->rate > 0 || !traffic->left || !has_room(traffic, user))
        return;
    uint64_t now = now_ns();
    send_one(traffic, user, now, now);
}

static bool turn(struct traffic *traffic)
{
    bool paced = traffic->sending && traffic->rate > 0;
    if (paced) {
        release_due(traffic);
        flows_flush(&traffic->site->flows);
    }
    return site_turn(traffic->site, paced ? 1 : 5);
}

bool traffic_run(struct traffic *traffic, double seconds)
{
    for (uint64_t end = now_ns() + (uint64_t)(seconds * 1e9); now_ns() < end;)
        if (!turn(traffic))
            return false;
    return true;
}

bool traffic_drain(struct traffic *traffic, double seconds)
{
    traffic->sending = false;
    for (uint64_t end = now_ns() + (uint64_t)(seconds * 1e9); traffic->site->calls.pending && now_ns() < end;)
        if (!turn(traffic))
            return false;
    return true;
}
