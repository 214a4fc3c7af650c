#ifndef SENDAPI_STORE_REDIS_H
#define SENDAPI_STORE_REDIS_H

/*
 * An outbox in Redis 5 or newer (Valkey and what else speaks its protocol and its Lua). The
 * contract is store.h's; settings.path is a url as store_redis_url.h has it.
 *
 * What is written, all keys of a source under one hash tag, so that a cluster keeps them together
 * (the name percent-encoded but for letters, digits, `_`, `.` and `-`):
 *
 *     <prefix>{<source>}:state    hash    format; id: the last one given; bytes pending; token and
 *                                         holder of the newest lease
 *     <prefix>{<source>}:pending  stream  <id>-0: l lane, b body, t time, a action
 *     <prefix>{<source>}:dead     zset    ids of the letters
 *     <prefix>{<source>}:letters  hash    id: the letter, MessagePack
 *     <prefix>{<source>}:lease    string  holder and token; runs out
 *     <prefix>{<source>}:last:…   string  the last append of one store; runs out after a day
 *
 * Every change is one script, which Redis runs whole or not at all. Ids are a counter's, made in
 * the script that appends. What is ended is deleted (XDEL); nothing is ever trimmed (MAXLEN).
 * There are no consumer groups: one holder of the lease reads by XRANGE, so there is no list of
 * pending entries beside the stream that could keep or lose what the stream does not, nothing to
 * acknowledge and nothing to claim. Times are whole microseconds; none is compared with Redis'
 * clock, which only runs out the leases (PX).
 *
 * Fencing: each new holder gets the next token, and every script of the holder's compares it. A
 * lease that has run out is still good while nobody else has taken it. A lease that was lost is
 * told once (STORE_LEASE_TAKEN, STORE_FENCED) before it is taken again, so that its holder forgets
 * what it has read. It counts as lost, too, when the server has started anew or is another one:
 * rows that were read may be gone, and their ids given to others.
 *
 * An append whose answer was lost is in doubt. Every store numbers its appends, and each leaves its
 * number in the script that appends it; so before anything else is done with the source, the store
 * asks. An append that is repeated with the same rows is what it was, if it came through; one that
 * is not repeated is taken back, and can no longer arrive. What cannot be taken back is a row that
 * another process has delivered meanwhile, and a failed append whose process ends before it meets
 * the server again, or not within a day.
 *
 * Durability is the server's: `appendonly yes`, `appendfsync always`, `maxmemory-policy
 * noeviction`; where it says otherwise there is a warning at open. Replication is asynchronous: a
 * failover can lose appends that were confirmed.
 *
 * Blocking: connecting and each command take at most the url's timeout (2 s), and a second for each
 * megabyte; resolving a host's name takes as long as the system's resolver. A server that is away
 * is tried again after a pause of 0.1 to 5 s; calls within the pause fail at once.
 */

#include "store.h"

SENDAPI_HIDDEN_BEGIN

extern const struct store_driver store_redis;

SENDAPI_HIDDEN_END

#endif
