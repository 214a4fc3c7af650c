/* A signal that asks for the end is noted, whenever it comes, and ends a wait. */

#include "foreground.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"

/* Each runs in a process of its own, since what is noted stays: its result is the exit status. */
static int status_of(int (*run)(void))
{
    int status = -1;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(20);
        _exit(run());
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void *send_after_a_while(void *number)
{
    const struct timespec while_ = {.tv_nsec = 50000000};
    (void)nanosleep(&while_, NULL);
    (void)kill(getpid(), *(int *)number);
    return NULL;
}

/* The signal comes while it is waited for. */
static int wait_for(int number)
{
    pthread_t sender;
    if (!foreground_hold() || pthread_create(&sender, NULL, send_after_a_while, &number) != 0) {
        return 99;
    }
    double began = clock_now();
    int came = foreground_wait(15);
    (void)pthread_join(sender, NULL);
    return clock_now() - began < 10 ? came : 98;
}

/* The signal comes before. */
static int have_had(int number)
{
    (void)(foreground_hold() && raise(number) == 0);
    return foreground_wait(0);
}

static int wait_for_interrupt(void)
{
    return wait_for(SIGINT);
}

static int wait_for_termination(void)
{
    return wait_for(SIGTERM);
}

static int wait_for_hang_up(void)
{
    return wait_for(SIGHUP);
}

static int have_had_interrupt(void)
{
    return have_had(SIGINT);
}

static int have_had_termination(void)
{
    return have_had(SIGTERM);
}

static void signal_ends_the_wait(void)
{
    CHECK_INT(status_of(wait_for_interrupt), SIGINT);
    CHECK_INT(status_of(wait_for_termination), SIGTERM);
    CHECK_INT(status_of(wait_for_hang_up), SIGHUP);
}

static void signal_that_came_before_counts(void)
{
    CHECK_INT(status_of(have_had_interrupt), SIGINT);
    CHECK_INT(status_of(have_had_termination), SIGTERM);
}

static int have_had_two(void)
{
    (void)(foreground_hold() && raise(SIGTERM) == 0 && raise(SIGTERM) == 0);
    return foreground_wait(0) == SIGTERM ? foreground_wait(5) : 99;
}

static void what_was_noted_stays(void)
{
    CHECK_INT(status_of(have_had_two), SIGTERM);
}

static int wait_for_nothing(void)
{
    double began = clock_now();
    int came = foreground_hold() ? foreground_wait(0.1) : 99;
    double took = clock_now() - began;
    return took >= 0.1 ? came : 98;
}

static void wait_without_a_signal_ends(void)
{
    CHECK_INT(status_of(wait_for_nothing), 0);
}

static int hang_up_under_nohup(void)
{
    (void)signal(SIGHUP, SIG_IGN);
    (void)(foreground_hold() && raise(SIGHUP) == 0);
    return foreground_wait(0.1);
}

static void ignored_hang_up_stays_ignored(void)
{
    CHECK_INT(status_of(hang_up_under_nohup), 0);
}

/* As a shell starts a command in the background. */
static int interrupt_in_the_background(void)
{
    (void)signal(SIGINT, SIG_IGN);
    return have_had(SIGINT);
}

static void ignored_interrupt_counts(void)
{
    CHECK_INT(status_of(interrupt_in_the_background), SIGINT);
}

static const struct check_case cases[] = {
    CHECK_CASE(signal_ends_the_wait),          CHECK_CASE(signal_that_came_before_counts),
    CHECK_CASE(what_was_noted_stays),          CHECK_CASE(wait_without_a_signal_ends),
    CHECK_CASE(ignored_hang_up_stays_ignored), CHECK_CASE(ignored_interrupt_counts),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
