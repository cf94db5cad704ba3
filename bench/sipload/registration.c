#define _GNU_SOURCE
#include "registration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"

#define MAX_AUTHORIZATION 2048

static bool write_authorization(struct site *site, struct user *user, char *value, size_t size)
{
    const struct options *options = site->options;
    char name[MAX_URI], uri[MAX_URI + 4];
    user_name(options, user->index, name, sizeof name);
    snprintf(uri, sizeof uri, "sip:%s", options->domain);
    struct slice challenge = {user->challenge, strlen(user->challenge)};
    struct digest_user credentials = {
        .username = name, .password = options->password, .method = "REGISTER", .uri = uri, .send_uri = true,
        .algorithm = options->algorithm, .nonce_count = ++user->nonce_count,
    };
    return digest_authorization(&credentials, &challenge, 1, value, size);
}

static bool send_register(struct site *site, struct user *user)
{
    char authorization[MAX_AUTHORIZATION];
    if (user->challenge && !write_authorization(site, user, authorization, sizeof authorization))
        return false;
    uint64_t now = now_ns();
    struct call *call = call_begin(&site->calls, CALL_REGISTER, user, now, now);
    user_write_register(user, site->options, call->number, user->challenge ? authorization : NULL);
    registration_repeat(call);
    return true;
}

void registration_repeat(struct call *call)
{
    flow_send(call->user->flow, call->user->request, call->user->request_length);
}

static void forget_challenge(struct user *user)
{
    free(user->challenge);
    user->challenge = NULL;
    user->nonce_count = 0;
}

void registration_begin(struct site *site, struct user *user)
{
    if (!site->options->reuse_nonce)
        forget_challenge(user);
    user->state = USER_REGISTERING;
    user->began = now_ns();
    site->registering++;
    send_register(site, user);
}

void registration_end(struct site *site, struct user *user)
{
    user->leaving = true;
    registration_begin(site, user);
}

static void refuse(struct site *site, struct user *user, int status)
{
    user->state = USER_REFUSED;
    user->status = status;
    site->registering--;
    site->refused++;
    if (site->on_refused)
        site->on_refused(site, user);
}

/* The first challenge of the algorithm that the options name. */
static bool keep_challenge(const struct site *site, struct user *user, const struct sip_message *response)
{
    for (int i = 0; i < response->challenge_count; i++) {
        struct slice challenge = response->challenges[i];
        bool sha256 = memmem(challenge.data, challenge.length, "SHA-256", 7);
        if (sha256 != !strcmp(site->options->algorithm, "SHA-256"))
            continue;
        forget_challenge(user);
        user->challenge = strndup(challenge.data, challenge.length);
        return true;
    }
    return false;
}

/* RFC 3261 section 22.2: once; credentials that were sent unasked do not count. */
static bool may_answer(const struct site *site, const struct user *user, const struct sip_message *response)
{
    return response->status == 401 && site->options->algorithm && user->state == USER_REGISTERING;
}

static bool lists_own_contact(const struct site *site, const struct user *user, const struct sip_message *response)
{
    char name[MAX_URI], uri[2 * MAX_URI];
    user_name(site->options, user->index, name, sizeof name);
    int length = snprintf(uri, sizeof uri, "sip:%s@%s", name, user->flow->address);
    return memmem(response->head.data, response->head.length, uri, (size_t)length);
}

static void succeed(struct site *site, struct user *user, const struct sip_message *response)
{
    site->registering--;
    if (user->leaving) {
        user->state = USER_GONE;
        site->gone++;
        return;
    }
    if (!lists_own_contact(site, user, response))
        site->counts.unlisted++;
    user->state = USER_REGISTERED;
    site->registered++;
    if (site->on_registered)
        site->on_registered(site, user);
}

void registration_response(struct site *site, struct call *call, const struct sip_message *response)
{
    struct user *user = call->user;
    if (response->status == 200) {
        succeed(site, user, response);
        return;
    }
    if (may_answer(site, user, response) && keep_challenge(site, user, response)) {
        site->counts.challenges++;
        user->state = USER_ANSWERED_CHALLENGE;
        if (send_register(site, user))
            return;
    }
    refuse(site, user, response->status);
}

void registration_timed_out(struct site *site, struct call *call)
{
    refuse(site, call->user, 0);
}
