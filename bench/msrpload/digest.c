#define _GNU_SOURCE
#include "digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CNONCE "0a4f113b"
#define NONCE_COUNT "00000001"
#define MD5_HEX 33
#define MAX_PARAMETER 512

struct challenge {
    char realm[MAX_PARAMETER], nonce[MAX_PARAMETER], opaque[MAX_PARAMETER], algorithm[MAX_PARAMETER];
};

static void md5_hex(char hex[MD5_HEX], const char *format, const char *a, const char *b, const char *c)
{
    char text[4 * MAX_PARAMETER];
    unsigned char digest[16];
    int length = snprintf(text, sizeof text, format, a, b, c);
    EVP_Digest(text, (size_t)length, digest, NULL, EVP_md5(), NULL);
    for (int i = 0; i < 16; i++)
        put_hex(hex + 2 * i, digest[i], 2);
    hex[32] = 0;
}

/* Copy a parameter's value, quoted or not; empty when it is not there. */
static void parameter(struct slice header, const char *name, char *value)
{
    size_t length = strlen(name), used = 0;
    const char *end = header.data + header.length, *p = header.data;
    while (p + length < end
           && !(strncasecmp(p, name, length) == 0 && p[length] == '=' && (p[-1] == ' ' || p[-1] == ',')))
        p++;
    p += length + 1;
    bool quoted = p < end && *p == '"';
    for (p += quoted; p < end && used < MAX_PARAMETER - 1; p++) {
        if (quoted ? *p == '"' : *p == ',' || *p == ' ')
            break;
        value[used++] = *p;
    }
    value[used] = 0;
}

static bool choose_challenge(const struct frame_head *head, struct challenge *challenge)
{
    for (int i = 0; i < head->challenge_count; i++) {
        parameter(head->challenges[i], "algorithm", challenge->algorithm);
        if (challenge->algorithm[0] && strcasecmp(challenge->algorithm, "MD5") != 0)
            continue;
        parameter(head->challenges[i], "realm", challenge->realm);
        parameter(head->challenges[i], "nonce", challenge->nonce);
        parameter(head->challenges[i], "opaque", challenge->opaque);
        return true;
    }
    return false;
}

static void compute_response(const struct digest_user *user, const struct challenge *challenge, char hex[MD5_HEX])
{
    char secret[MD5_HEX], request[MD5_HEX];
    md5_hex(secret, "%s:%s:%s", user->username, challenge->realm, user->password);
    md5_hex(request, "AUTH:%s%s%s", user->relay_uri, "", "");
    md5_hex(hex, "%s:%s:" NONCE_COUNT ":" CNONCE ":auth:%s", secret, challenge->nonce, request);
}

bool digest_authorization(const struct digest_user *user, const struct frame_head *challenged,
                          char *value, size_t size)
{
    struct challenge challenge;
    char response[MD5_HEX];
    if (!choose_challenge(challenged, &challenge))
        return false;
    compute_response(user, &challenge, response);
    int length = snprintf(value, size,
                          "Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", qop=auth, nc=" NONCE_COUNT
                          ", cnonce=\"" CNONCE "\", response=\"%s\"",
                          user->username, challenge.realm, challenge.nonce, response);
    if (user->send_uri)
        length += snprintf(value + length, size - (size_t)length, ", uri=\"%s\"", user->relay_uri);
    if (challenge.opaque[0])
        length += snprintf(value + length, size - (size_t)length, ", opaque=\"%s\"", challenge.opaque);
    if (challenge.algorithm[0])
        snprintf(value + length, size - (size_t)length, ", algorithm=%s", challenge.algorithm);
    return true;
}
