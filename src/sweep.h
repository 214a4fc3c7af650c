#ifndef SENDAPI_SWEEP_H
#define SENDAPI_SWEEP_H

/*
 * What a process that was killed has left behind in the folder of temporary files: directories made
 * by mkdtemp(3) for a socket.
 */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/*
 * Removes from `parent` the directories `prefix` + six characters that are this user's, older than a
 * minute, and empty or with nothing but a socket `name` that no process has bound any more. Whatever
 * fails is left as it is. Does not disturb a socket that is in use.
 */
void sweep(const char *parent, const char *prefix, const char *name);

SENDAPI_HIDDEN_END

#endif
