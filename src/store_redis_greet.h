#ifndef SENDAPI_STORE_REDIS_GREET_H
#define SENDAPI_STORE_REDIS_GREET_H

/* What is said on a connection before anything else: who we are, and what the server is. */

#include "store_redis_link.h"

SENDAPI_HIDDEN_BEGIN

/*
 * Logs in, selects the database, and looks whether the server is new enough, a master, and the run
 * it was. False with a problem.
 */
bool redis_link_greet(struct redis_link *link, struct store_problem *problem);

/* Tells what a user of this server should know about how it is set up. */
void redis_link_warn(struct redis_link *link, const struct store_settings *settings);

SENDAPI_HIDDEN_END

#endif
