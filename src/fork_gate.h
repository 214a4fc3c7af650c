#ifndef SENDAPI_FORK_GATE_H
#define SENDAPI_FORK_GATE_H

/*
 * A fork waits until no thread is inside a library that would come out of it half-way through:
 * SQLite, whose locks and lists a child inherits as they stand. Any thread may call any function.
 */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Once, or more often, before the first of the others. */
void fork_gate_prepare(void);

/* Around what a fork has to wait for. Not one within the other, and no fork within. */
void fork_gate_enter(void);
void fork_gate_leave(void);

/* The number of forks between the process that prepared and this one. */
unsigned fork_gate_generation(void);

SENDAPI_HIDDEN_END

#endif
