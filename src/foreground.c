#include "foreground.h"

#include <pthread.h> /* pthread_sigmask(3) */
#include <signal.h>
#include <stddef.h>
#include <sys/select.h>
#include <time.h>

#include "clock.h"

static const int ends[] = {SIGINT, SIGTERM, SIGHUP};

enum { ENDS = sizeof ends / sizeof ends[0], LONGEST = 3600 };

static volatile sig_atomic_t noted; /* the first signal; 0: none yet */

static void note(int number)
{
    if (noted == 0) {
        noted = number;
    }
}

static bool is_ignored(int number)
{
    struct sigaction current;
    return sigaction(number, NULL, &current) == 0 && current.sa_handler == SIG_IGN;
}

static bool note_from_now_on(int number)
{
    struct sigaction action = {0};
    if (number == SIGHUP && is_ignored(number)) {
        return true;
    }
    action.sa_handler = note;
    action.sa_flags = SA_RESTART;
    (void)sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL) == 0;
}

bool foreground_hold(void)
{
    sigset_t blocked;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGINT);
    (void)sigaddset(&blocked, SIGHUP);
    bool done = pthread_sigmask(SIG_BLOCK, &blocked, NULL) == 0;
    for (size_t i = 0; i < ENDS; i++) {
        done = done && note_from_now_on(ends[i]);
    }
    return done;
}

/* At most an hour: no system takes any number. */
static struct timespec time_of(double seconds)
{
    double some = seconds < LONGEST ? seconds : LONGEST;
    struct timespec time = {.tv_sec = (time_t)some};
    time.tv_nsec = (long)((some - (double)time.tv_sec) * 1e9);
    return time;
}

/* A signal that comes between the look at `noted` and the wait is held until the wait. */
int foreground_wait(double seconds)
{
    sigset_t all, before, open;
    double until = clock_now() + seconds;
    (void)sigemptyset(&all);
    for (size_t i = 0; i < ENDS; i++) {
        (void)sigaddset(&all, ends[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    open = before;
    for (size_t i = 0; i < ENDS; i++) {
        (void)sigdelset(&open, ends[i]);
    }
    do {
        double left = until - clock_now();
        struct timespec time = time_of(left > 0 ? left : 0);
        if (noted == 0) {
            (void)pselect(0, NULL, NULL, NULL, &time, &open);
        }
    } while (noted == 0 && clock_now() < until);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return noted;
}
