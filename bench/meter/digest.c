#define _GNU_SOURCE
#include "digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CNONCE "0a4f113b"
#define MAX_PARAMETER 512
#define MAX_HEX (2 * EVP_MAX_MD_SIZE + 1)

struct challenge {
    char realm[MAX_PARAMETER], nonce[MAX_PARAMETER], opaque[MAX_PARAMETER], algorithm[MAX_PARAMETER];
};

/* Fetched once: looking an algorithm up by name costs more than hashing a line. */
static const EVP_MD *hash_of(const char *algorithm)
{
    static EVP_MD *md5, *sha256;
    bool wants_sha256 = !strcasecmp(algorithm, "SHA-256");
    EVP_MD **hash = wants_sha256 ? &sha256 : &md5;
    if (!*hash)
        *hash = EVP_MD_fetch(NULL, wants_sha256 ? "SHA256" : "MD5", NULL);
    return *hash;
}

static void hash_hex(const char *algorithm, const char *text, char hex[MAX_HEX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_Digest(text, strlen(text), digest, &length, hash_of(algorithm), NULL);
    for (unsigned i = 0; i < length; i++)
        put_hex(hex + 2 * i, digest[i], 2);
    hex[2 * length] = 0;
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

static bool choose_challenge(const char *wanted, const struct slice *challenges, int count, struct challenge *challenge)
{
    for (int i = 0; i < count; i++) {
        parameter(challenges[i], "algorithm", challenge->algorithm);
        if (strcasecmp(challenge->algorithm[0] ? challenge->algorithm : "MD5", wanted) != 0)
            continue;
        parameter(challenges[i], "realm", challenge->realm);
        parameter(challenges[i], "nonce", challenge->nonce);
        parameter(challenges[i], "opaque", challenge->opaque);
        return true;
    }
    return false;
}

static void compute_response(const struct digest_user *user, const struct challenge *challenge, char hex[MAX_HEX])
{
    char secret[MAX_HEX], request[MAX_HEX], text[4 * MAX_PARAMETER];
    snprintf(text, sizeof text, "%s:%s:%s", user->username, challenge->realm, user->password);
    hash_hex(user->algorithm, text, secret);
    snprintf(text, sizeof text, "%s:%s", user->method, user->uri);
    hash_hex(user->algorithm, text, request);
    snprintf(text, sizeof text, "%s:%s:%08x:" CNONCE ":auth:%s", secret, challenge->nonce, user->nonce_count, request);
    hash_hex(user->algorithm, text, hex);
}

bool digest_authorization(const struct digest_user *user, const struct slice *challenges, int count,
                          char *value, size_t size)
{
    struct challenge challenge;
    char response[MAX_HEX];
    if (!choose_challenge(user->algorithm, challenges, count, &challenge))
        return false;
    compute_response(user, &challenge, response);
    int length = snprintf(value, size,
                          "Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", qop=auth, nc=%08x"
                          ", cnonce=\"" CNONCE "\", response=\"%s\"",
                          user->username, challenge.realm, challenge.nonce, user->nonce_count, response);
    if (user->send_uri)
        length += snprintf(value + length, size - (size_t)length, ", uri=\"%s\"", user->uri);
    if (challenge.opaque[0])
        length += snprintf(value + length, size - (size_t)length, ", opaque=\"%s\"", challenge.opaque);
    if (challenge.algorithm[0])
        snprintf(value + length, size - (size_t)length, ", algorithm=%s", challenge.algorithm);
    return true;
}
