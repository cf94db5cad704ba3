#define _GNU_SOURCE
#include "user.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRES 3600
#define MAX_REGISTER 4096
#define MAX_HEAD 2048
#define NO_NUMBER "0000000000000000"

void user_name(const struct options *options, int index, char *name, size_t size)
{
    snprintf(name, size, "%s%d", options->username, index + 1);
}

static const char *via_transport(const struct options *options)
{
    return options->tcp ? "TCP" : "UDP";
}

static const char *uri_transport(const struct options *options)
{
    return options->tcp ? ";transport=tcp" : "";
}

void user_write_register(struct user *user, const struct options *options, uint64_t number, const char *authorization)
{
    char name[MAX_URI], digits[NUMBER_DIGITS + 1] = {0};
    user_name(options, user->index, name, sizeof name);
    put_hex(digits, number, NUMBER_DIGITS);
    if (!user->request)
        user->request = allocate(MAX_REGISTER);
    int length = snprintf(
        user->request, MAX_REGISTER,
        "REGISTER sip:%s SIP/2.0\r\n"
        "Via: SIP/2.0/%s %s;rport;branch=" BRANCH_COOKIE "%s\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:%s@%s>;tag=r%08x\r\n"
        "To: <sip:%s@%s>\r\n"
        "Call-ID: register-%08x@%s\r\n"
        "CSeq: %u REGISTER\r\n"
        "Contact: <sip:%s@%s%s>;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-%012x>\"\r\n"
        "Expires: %d\r\n"
        "Supported: path\r\n"
        "User-Agent: sipload\r\n"
        "%s%s%sContent-Length: 0\r\n\r\n",
        options->domain, via_transport(options), user->flow->address, digits, name, options->domain,
        (unsigned)user->index, name, options->domain, (unsigned)user->index, user->flow->address, ++user->cseq, name,
        user->flow->address, uri_transport(options), (unsigned)user->index,
        user->leaving ? 0 : EXPIRES, authorization ? "Authorization: " : "", authorization ? authorization : "",
        authorization ? "\r\n" : "");
    if (length >= MAX_REGISTER)
        fail("a REGISTER has more than %d octets", MAX_REGISTER);
    user->request_length = (size_t)length;
}

/* Append to the text, and return where that began. */
__attribute__((format(printf, 2, 3))) static size_t add(struct template *template, const char *format, ...)
{
    size_t begin = template->length;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(template->text + begin, MAX_HEAD - begin, format, arguments);
    va_end(arguments);
    if (begin + (size_t)length >= MAX_HEAD)
        fail("the head of a MESSAGE has more than %d octets", MAX_HEAD);
    template->length += (size_t)length;
    return begin;
}

static void add_body(struct template *template, size_t size)
{
    template->body_at = template->length;
    memcpy(template->text + template->length, NO_NUMBER, NUMBER_DIGITS);
    for (size_t i = NUMBER_DIGITS; i < size; i++)
        template->text[template->length + i] = (char)('a' + i % 26);
    template->length += size;
}

void user_prepare_message(struct user *user, const struct options *options)
{
    char own[MAX_URI], other[MAX_URI];
    struct template *template = &user->message;
    user_name(options, user->index, own, sizeof own);
    user_name(options, user->partner->index, other, sizeof other);
    template->text = allocate(MAX_HEAD + options->size);
    add(template, "MESSAGE sip:%s@%s SIP/2.0\r\n", other, options->domain);
    add(template, "Via: SIP/2.0/%s %s;rport;branch=" BRANCH_COOKIE, via_transport(options), user->flow->address);
    template->branch_at = add(template, NO_NUMBER "\r\n");
    add(template, "Max-Forwards: 70\r\nFrom: \"%s\" <sip:%s@%s>;tag=m%08x\r\n", own, own, options->domain,
        (unsigned)user->index);
    add(template, "To: <sip:%s@%s>\r\nCall-ID: ", other, options->domain);
    template->call_id_at = add(template, NO_NUMBER "@%s\r\n", user->flow->address);
    add(template, "CSeq: 1 MESSAGE\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE\r\nUser-Agent: sipload\r\n");
    add(template, "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %llu\r\n\r\n",
        (unsigned long long)options->size);
    add_body(template, options->size);
}

void user_number_message(struct user *user, uint64_t number)
{
    struct template *template = &user->message;
    put_hex(template->text + template->branch_at, number, NUMBER_DIGITS);
    memcpy(template->text + template->call_id_at, template->text + template->branch_at, NUMBER_DIGITS);
    memcpy(template->text + template->body_at, template->text + template->branch_at, NUMBER_DIGITS);
}

bool user_body_is(const struct user *user, uint64_t number, struct slice body)
{
    const struct template *template = &user->message;
    uint64_t found;
    return body.length == template->length - template->body_at && get_hex(body.data, NUMBER_DIGITS, &found)
           && found == number
           && !memcmp(body.data + NUMBER_DIGITS, template->text + template->body_at + NUMBER_DIGITS,
                      body.length - NUMBER_DIGITS);
}
