/*
 * A program that embeds Lua. It runs a script in a fresh state, as often as it is told, and has what
 * a plain interpreter lacks.
 *
 *     host ROUNDS SCRIPT [ARGUMENT...]
 *
 * To the script, whose arguments are those and the round, it offers:
 *
 *     host.fork() -> pid                     0 in the child
 *     host.wait(pid) -> status               of its exit; or minus the signal that ended it
 *     host.quit(status)                      ends the process without any cleaning up
 *     host.signal_often()                    from now on signals come all the time
 *     host.signals() -> handled, elsewhere   how many; on another thread than the main one
 *
 * After each round it says whether the core is still loaded. It exits with 1 when a script fails.
 */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h> /* strtol(3) */
#include <string.h> /* strstr(3) */
#include <sys/wait.h>
#include <time.h>   /* nanosleep(2) */
#include <unistd.h> /* fork(2) _exit(2) */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static pthread_t main_thread;
static volatile sig_atomic_t handled;
static volatile sig_atomic_t elsewhere;

static void count(int number)
{
    (void)number;
    if (pthread_equal(pthread_self(), main_thread)) {
        handled = handled + 1;
    } else {
        elsewhere = elsewhere + 1;
    }
}

/* Sends signals to the process, not to a thread of it; takes none itself. */
static void *send_signals(void *unused)
{
    const struct timespec pause = {.tv_nsec = 200000};
    for (;;) {
        (void)kill(getpid(), SIGUSR1);
        (void)kill(getpid(), SIGALRM);
        (void)nanosleep(&pause, NULL);
    }
    return unused;
}

/* Without SA_RESTART, so that every call that can be interrupted is. */
static int host_signal_often(lua_State *L)
{
    pthread_t sender;
    sigset_t all;
    sigset_t before;
    struct sigaction action = {.sa_handler = count};
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&sender, NULL, send_signals, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0 ? 0 : luaL_error(L, "no thread");
}

static int host_signals(lua_State *L)
{
    lua_pushinteger(L, handled);
    lua_pushinteger(L, elsewhere);
    return 2;
}

static int host_fork(lua_State *L)
{
    (void)fflush(NULL);
    lua_pushinteger(L, fork());
    return 1;
}

static int host_wait(lua_State *L)
{
    int status = 0;
    if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0) {
        return luaL_error(L, "no such child");
    }
    lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    return 1;
}

static int host_quit(lua_State *L)
{
    (void)fflush(NULL);
    _exit((int)luaL_checkinteger(L, 1));
}

static void set_function(lua_State *L, const char *name, lua_CFunction function)
{
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
}

static void set_host(lua_State *L)
{
    lua_newtable(L);
    set_function(L, "fork", host_fork);
    set_function(L, "wait", host_wait);
    set_function(L, "quit", host_quit);
    set_function(L, "signal_often", host_signal_often);
    set_function(L, "signals", host_signals);
    lua_setglobal(L, "host");
}

/* Loads a script and calls it with its arguments. */
static int run_script(lua_State *L, char **arguments, long round)
{
    int arity = 1;
    if (luaL_loadfile(L, arguments[0]) != 0) {
        return 1;
    }
    for (char **argument = arguments + 1; *argument != NULL; argument++) {
        lua_pushstring(L, *argument);
        arity++;
    }
    lua_pushinteger(L, round);
    return lua_pcall(L, arity, 0, 0);
}

static int run_round(char **arguments, long round)
{
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        return 1;
    }
    luaL_openlibs(L);
    set_host(L);
    int failed = run_script(L, arguments, round);
    if (failed != 0) {
        (void)luaL_callmeta(L, -1, "__tostring");
        (void)fprintf(stderr, "%s\n", lua_tostring(L, -1));
    }
    lua_close(L);
    return failed != 0;
}

static void report_core(void)
{
    char line[1024];
    const char *found = "unloaded";
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, "/sendapi/core.so") != NULL) {
            found = "loaded";
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    (void)puts(found);
}

int main(int count_of_arguments, char **arguments)
{
    int failed = 0;
    if (count_of_arguments < 3) {
        (void)fputs("host ROUNDS SCRIPT [ARGUMENT...]\n", stderr);
        return 2;
    }
    main_thread = pthread_self();
    long rounds = strtol(arguments[1], NULL, 10);
    for (long round = 1; round <= rounds && failed == 0; round++) {
        failed = run_round(arguments + 2, round);
        report_core();
    }
    return failed;
}
