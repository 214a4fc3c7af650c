#ifndef SENDAPI_SIGNALS_H
#define SENDAPI_SIGNALS_H

/*
 * Keeps the host's signals away from what libcurl does on a thread: from the threads that it makes,
 * which inherit the mask, and SIGPIPE, which a TLS library may cause, from the host altogether.
 */

#include <signal.h> /* sigset_t */
#include <stdbool.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct signals {
    sigset_t before;
    bool pipe_was_pending;
};

/* Blocks all signals but the synchronous ones in the calling thread. */
void signals_hold(struct signals *signals);

/* Blocks SIGPIPE alone: the host's other signals come as ever. */
void signals_hold_pipe(struct signals *signals);

/* Sets the mask as it was; a SIGPIPE that came meanwhile is gone, any other signal comes now. */
void signals_release(const struct signals *signals);

SENDAPI_HIDDEN_END

#endif
