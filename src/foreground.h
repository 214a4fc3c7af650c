#ifndef SENDAPI_FOREGROUND_H
#define SENDAPI_FOREGROUND_H

/*
 * The end of a program in the foreground that has something to clean up: the signals that ask for
 * it are noted instead of ending the process. Once per process, on its main thread. Only async-
 * signal-safe functions run in a signal.
 */

#include <stdbool.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/*
 * From now on SIGINT, SIGTERM and SIGHUP (which stays ignored where it is, as under nohup) are
 * noted. Those that a terminal sends to all its processes, SIGINT and SIGHUP, are blocked for the
 * caller's thread and for the commands it starts, but for the time of foreground_wait. False, with
 * errno, when the system does not let it.
 */
bool foreground_hold(void);

/*
 * Waits at most so many seconds, not negative, for a signal that foreground_hold named, one that
 * came before among them. Its number, always the first's; 0 when there was none.
 */
int foreground_wait(double seconds);

SENDAPI_HIDDEN_END

#endif
