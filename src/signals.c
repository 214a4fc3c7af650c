#include "signals.h"

#include <stddef.h> /* NULL */
#include <time.h>   /* timespec */

static bool is_pipe_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

#if defined(__APPLE__)
static void take_pipe(const sigset_t *pipe)
{
    int number;
    if (is_pipe_pending()) { /* has no sigtimedwait */
        (void)sigwait(pipe, &number);
    }
}
#else
static void take_pipe(const sigset_t *pipe)
{
    static const struct timespec at_once = {0};
    (void)sigtimedwait(pipe, NULL, &at_once);
}
#endif

static void block(struct signals *signals, int how, const sigset_t *set)
{
    (void)pthread_sigmask(how, set, &signals->before);
    signals->pipe_was_pending = sigismember(&signals->before, SIGPIPE) == 1 && is_pipe_pending();
}

void signals_hold_pipe(struct signals *signals)
{
    sigset_t pipe;
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    block(signals, SIG_BLOCK, &pipe);
}

void signals_hold(struct signals *signals)
{
    sigset_t held;
    (void)sigfillset(&held);
    (void)sigdelset(&held, SIGILL);
    (void)sigdelset(&held, SIGFPE);
    (void)sigdelset(&held, SIGSEGV);
    (void)sigdelset(&held, SIGBUS);
    block(signals, SIG_SETMASK, &held);
}

void signals_release(const struct signals *signals)
{
    sigset_t pipe;
    if (!signals->pipe_was_pending) {
        (void)sigemptyset(&pipe);
        (void)sigaddset(&pipe, SIGPIPE);
        take_pipe(&pipe);
    }
    (void)pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}
