/* The host's signals, kept away for a while: none is lost, and no SIGPIPE of ours comes through. */

#include "signals.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h> /* NULL */

#include <unistd.h> /* pipe(2) write(2) */

#include "check.h"

static volatile sig_atomic_t handled[65];

static void count(int number)
{
    handled[number] = handled[number] + 1;
}

static void set_handler(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    (void)sigaction(number, &action, NULL);
    handled[number] = 0;
}

static void block(int how, int number)
{
    sigset_t one;
    (void)sigemptyset(&one);
    (void)sigaddset(&one, number);
    (void)pthread_sigmask(how, &one, NULL);
}

static bool is_blocked(int number)
{
    sigset_t now;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &now);
    return sigismember(&now, number) == 1;
}

static bool is_pending(int number)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, number) == 1;
}

/* As a TLS library does: the system answers with SIGPIPE. */
static void write_to_nobody(void)
{
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    (void)close(ends[0]);
    CHECK_INT(write(ends[1], "x", 1), -1);
    (void)close(ends[1]);
}

static void pipe_of_ours_is_gone(void)
{
    struct signals signals;
    set_handler(SIGPIPE, SIG_DFL); /* it would end this program */
    for (int i = 0; i < 3; i++) {
        signals_hold(&signals);
        write_to_nobody();
        write_to_nobody();
        CHECK(is_pending(SIGPIPE));
        signals_release(&signals);
        CHECK(!is_pending(SIGPIPE) && !is_blocked(SIGPIPE));
    }
    set_handler(SIGPIPE, count);
    signals_hold(&signals);
    write_to_nobody();
    signals_release(&signals);
    CHECK_INT(handled[SIGPIPE], 0);
    write_to_nobody();
    CHECK_INT(handled[SIGPIPE], 1);
    set_handler(SIGPIPE, SIG_DFL);
}

/* A host that blocks it keeps it blocked, and keeps the one that is its own. */
static void pipe_of_the_host_stays(void)
{
    struct signals signals;
    set_handler(SIGPIPE, count);
    block(SIG_BLOCK, SIGPIPE);
    signals_hold(&signals);
    write_to_nobody();
    signals_release(&signals);
    CHECK(!is_pending(SIGPIPE) && is_blocked(SIGPIPE));
    write_to_nobody();
    signals_hold(&signals);
    write_to_nobody();
    signals_release(&signals);
    CHECK(is_pending(SIGPIPE));
    CHECK_INT(handled[SIGPIPE], 0);
    block(SIG_UNBLOCK, SIGPIPE);
    CHECK_INT(handled[SIGPIPE], 1);
    set_handler(SIGPIPE, SIG_DFL);
}

static const int OTHERS[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGALRM, SIGTERM, SIGCHLD, SIGURG};

static void others_come_afterwards(void)
{
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        struct signals signals;
        int number = OTHERS[i];
        CHECK_NOTE("signal %d", number);
        set_handler(number, count);
        signals_hold(&signals);
        (void)kill(getpid(), number);
        CHECK_INT(handled[number], 0);
        signals_release(&signals);
        CHECK_INT(handled[number], 1);
        CHECK(!is_blocked(number));
        set_handler(number, SIG_DFL);
    }
}

static void blocked_ones_stay_blocked(void)
{
    struct signals signals;
    set_handler(SIGUSR2, count);
    block(SIG_BLOCK, SIGUSR2);
    signals_hold(&signals);
    (void)kill(getpid(), SIGUSR2);
    signals_release(&signals);
    CHECK_INT(handled[SIGUSR2], 0);
    block(SIG_UNBLOCK, SIGUSR2);
    CHECK_INT(handled[SIGUSR2], 1);
    set_handler(SIGUSR2, SIG_DFL);
}

static void *look_at_mask(void *found)
{
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        *(int *)found += is_blocked(OTHERS[i]);
    }
    *(int *)found += is_blocked(SIGPIPE);
    *(int *)found -= is_blocked(SIGSEGV) + is_blocked(SIGBUS) + is_blocked(SIGFPE);
    return NULL;
}

static void threads_made_meanwhile_take_none(void)
{
    struct signals signals;
    pthread_t thread;
    int blocked = 0;
    signals_hold(&signals);
    CHECK_INT(pthread_create(&thread, NULL, look_at_mask, &blocked), 0);
    signals_release(&signals);
    (void)pthread_join(thread, NULL);
    CHECK_INT(blocked, (int)(sizeof OTHERS / sizeof OTHERS[0]) + 1);
}

static const struct check_case cases[] = {
    CHECK_CASE(pipe_of_ours_is_gone),
    CHECK_CASE(pipe_of_the_host_stays),
    CHECK_CASE(others_come_afterwards),
    CHECK_CASE(blocked_ones_stay_blocked),
    CHECK_CASE(threads_made_meanwhile_take_none),
};

int main(int count_of_names, char **names)
{
    return CHECK_RUN(cases, count_of_names, names);
}
