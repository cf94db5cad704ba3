#define _GNU_SOURCE
#include "site.h"

#include <stdio.h>
#include <string.h>

#include "pager.h"
#include "registration.h"

#define LONGEST_FAREWELL 20000000000u /* nanoseconds */

static struct call *call_of_response(const struct site *site, const struct sip_message *response)
{
    const size_t cookie = sizeof BRANCH_COOKIE - 1;
    uint64_t number;
    struct slice branch = response->branch;
    if (branch.length != cookie + NUMBER_DIGITS || memcmp(branch.data, BRANCH_COOKIE, cookie) != 0
        || !get_hex(branch.data + cookie, NUMBER_DIGITS, &number))
        return NULL;
    return calls_find(&site->calls, number);
}

static void message_answered(struct site *site, struct call *call, int status)
{
    call->user->outstanding--;
    *(status ? &site->counts.statuses[status] : &site->counts.timeouts) += 1;
    site->counts.unfounded += status == 200 && !call->delivered;
    if (site->on_answered)
        site->on_answered(site, call, status);
}

static void take_response(struct site *site, const struct sip_message *response)
{
    struct call *call = call_of_response(site, response);
    if (!call) {
        site->counts.strays++;
        return;
    }
    if (!call->pending)
        return; /* RFC 3261 section 17.1.2.2, Completed: a retransmission */
    if (response->status < 200) {
        call_proceed(call);
        return;
    }
    call_end(&site->calls, call);
    if (call->kind == CALL_REGISTER)
        registration_response(site, call, response);
    else
        message_answered(site, call, response->status);
}

static void received(struct flow *flow, const struct sip_message *message, void *context)
{
    if (message->status)
        take_response(context, message);
    else
        pager_request(context, flow, message);
}

static void retransmitted(struct call *call, void *context)
{
    (void)context;
    if (call->kind == CALL_REGISTER)
        registration_repeat(call);
    else
        pager_repeat(call);
}

static void timed_out(struct call *call, void *context)
{
    if (call->kind == CALL_REGISTER)
        registration_timed_out(context, call);
    else
        message_answered(context, call, 0);
}

static struct user *partner_of(const struct site *site, int index)
{
    bool sends = index % 2 == 0 || site->options->both_ways;
    return sends && index / 2 < site->options->pairs ? &site->users[index ^ 1] : NULL;
}

void site_init(struct site *site, const struct options *options)
{
    *site = (struct site){.options = options, .user_count = options_users(options)};
    flows_init(&site->flows, options);
    calls_init(&site->calls, options);
    site->flows.received = received;
    site->calls.retransmitted = retransmitted;
    site->calls.timed_out = timed_out;
    site->flows.context = site->calls.context = site;
    site->users = allocate_zeroed((size_t)site->user_count, sizeof *site->users);
    for (int i = 0; i < site->user_count; i++)
        site->users[i].index = i;
}

bool site_turn(struct site *site, int milliseconds)
{
    flows_turn(&site->flows, milliseconds);
    calls_fire(&site->calls, site->flows.now);
    flows_flush(&site->flows);
    return !site->flows.lost_reason;
}

static void equip(struct site *site, struct user *user)
{
    bool shares = user->index % site->options->users_per_socket;
    user->flow = shares ? user[-1].flow : flow_open(&site->flows);
}

static void prepare_messages(struct site *site)
{
    if (site->options->mode == MODE_REGISTER || site->options->mode == MODE_HOLD)
        return;
    for (int i = 0; i < site->user_count; i++)
        if ((site->users[i].partner = partner_of(site, i)))
            user_prepare_message(&site->users[i], site->options);
}

bool site_register_all(struct site *site)
{
    int begun = 0;
    while (site->registered + site->refused < site->user_count) {
        while (begun < site->user_count && site->registering < site->options->concurrency) {
            equip(site, &site->users[begun]);
            registration_begin(site, &site->users[begun++]);
        }
        flows_flush(&site->flows);
        if (!site_turn(site, 5) || site->refused)
            return false;
    }
    prepare_messages(site);
    return true;
}

void site_unregister_all(struct site *site)
{
    int begun = 0;
    uint64_t deadline = now_ns() + LONGEST_FAREWELL;
    site->on_registered = NULL;
    while (site->gone < site->user_count && now_ns() < deadline) {
        for (; begun < site->user_count && site->registering < site->options->concurrency; begun++)
            if (site->users[begun].state == USER_REGISTERED)
                registration_end(site, &site->users[begun]);
        flows_flush(&site->flows);
        if (!site_turn(site, 5) || (begun == site->user_count && !site->registering))
            return;
    }
}

static const struct user *first_refused(const struct site *site)
{
    for (int i = 0; i < site->user_count; i++)
        if (site->users[i].state == USER_REFUSED)
            return &site->users[i];
    return NULL;
}

const char *site_error(const struct site *site, char *text, size_t size)
{
    const struct counts *counts = &site->counts;
    const struct { uint64_t count; const char *what; } faults[] = {
        {counts->unlisted, "REGISTERs were answered 200 without the binding"},
        {counts->damaged + counts->misdelivered, "messages arrived damaged or at somebody else"},
        {counts->unfounded, "messages were answered 200 that did not arrive"},
        {counts->duplicates, "messages were delivered twice"},
    };
    const struct user *refused = first_refused(site);
    if (site->flows.lost_reason)
        return site->flows.lost_reason;
    if (refused && !refused->status)
        return "a REGISTER was not answered";
    if (refused) {
        snprintf(text, size, "a REGISTER was answered %d", refused->status);
        return text;
    }
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        snprintf(text, size, "%llu %s", (unsigned long long)faults[i].count, faults[i].what);
        if (faults[i].count)
            return text;
    }
    return NULL;
}
