#define _GNU_SOURCE
#include "pager.h"

#include <string.h>

#define MAX_ANSWER 4096
#define TO_TAG "u1"

struct call *pager_send(struct site *site, struct user *user, uint64_t due, uint64_t now)
{
    struct call *call = call_begin(&site->calls, CALL_MESSAGE, user, due, now);
    site->counts.sent++;
    user->outstanding++;
    pager_repeat(call);
    return call;
}

void pager_repeat(struct call *call)
{
    user_number_message(call->user, call->number);
    flow_send(call->user->flow, call->user->message.text, call->user->message.length);
}

/* FNV-1a, never 0. */
static uint64_t hash_of(struct slice text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001b3u;
    return hash ? hash : 1;
}

static struct call *call_of(const struct site *site, const struct sip_message *request)
{
    uint64_t number;
    if (request->call_id.length <= NUMBER_DIGITS || !get_hex(request->call_id.data, NUMBER_DIGITS, &number))
        return NULL;
    struct call *call = calls_find(&site->calls, number);
    return call && call->kind == CALL_MESSAGE ? call : NULL;
}

static void count_delivery(struct site *site, struct call *call, const struct flow *flow,
                           const struct sip_message *request)
{
    struct counts *counts = &site->counts;
    uint64_t branch = hash_of(request->branch);
    if (call->delivered) {
        *(call->delivered == branch ? &counts->redelivered : &counts->duplicates) += 1;
        return;
    }
    call->delivered = branch;
    counts->delivered++;
    counts->misdelivered += call->user->partner->flow != flow;
    counts->damaged += !user_body_is(call->user, call->number, request->body);
}

static void answer(struct flow *flow, const struct sip_message *request)
{
    char text[MAX_ANSWER];
    size_t length = sip_write_ok(request, TO_TAG, flow->flows->server, text, sizeof text);
    if (length)
        flow_send(flow, text, length);
}

static bool is_method(const struct sip_message *request, const char *name)
{
    return request->method.length == strlen(name) && !memcmp(request->method.data, name, request->method.length);
}

void pager_request(struct site *site, struct flow *flow, const struct sip_message *request)
{
    if (is_method(request, "ACK"))
        return;
    struct call *call = is_method(request, "MESSAGE") ? call_of(site, request) : NULL;
    if (call)
        count_delivery(site, call, flow, request);
    else if (!is_method(request, "OPTIONS")) /* that is how servers look whether a contact is alive */
        site->counts.strays++;
    answer(flow, request);
}
