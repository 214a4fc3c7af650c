#ifndef SENDAPI_STORE_REDIS_URL_H
#define SENDAPI_STORE_REDIS_URL_H

/*
 * redis://[[user]:password@]host[:port][/db][?lease=…&prefix=…&timeout=…]
 * redis+unix://[[user]:password@]/path[?db=…&lease=…&prefix=…&timeout=…]
 *
 * Percent-encoded where need be. Without: port 6379, db 0, prefix "sendapi:", timeout 2 (seconds).
 * `lease` is the time, of 1 to 60 seconds, within which another process delivers for one that died;
 * it is better above the timeout.
 */

#include <stdbool.h>

#include "store.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct redis_url {
    bool is_unix;
    char host[256]; /* or the path of the socket */
    unsigned port;
    unsigned db;
    char user[128]; /* "": the default one */
    char password[512];
    char prefix[64];
    double timeout;
    double lease;    /* 0: not said */
    char place[300]; /* for people: host:port/db, without user and password */
};

/* False with a problem, STORE_UNFIT, that quotes nothing of the url. */
bool redis_url_parse(struct redis_url *url, const char *text, struct store_problem *problem);

/* Leaves nothing of it in memory. */
void redis_url_wipe(struct redis_url *url);

/*
 * The name of a source as it stands in keys, from malloc(3), NULL without memory; and back, in
 * place, false when it is no such name.
 */
char *redis_url_encode(const char *name);
bool redis_url_decode(char *text);

SENDAPI_HIDDEN_END

#endif
