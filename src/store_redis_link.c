#include "store_redis_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h> /* pthread_once(3) */
#include <stdarg.h>
#include <stdio.h>  /* vsnprintf(3) */
#include <stdlib.h> /* calloc(3) */
#include <string.h>
#include <sys/time.h> /* timeval */

#include "clock.h"
#include "signals.h"

enum {
    MOST_ELEMENTS = 1 << 16,   /* of an array in a reply */
    MOST_DEPTH = 6,            /* of arrays in arrays */
    MOST_REPLY = 512 << 20,    /* bytes of a reply */
    BYTES_PER_SECOND = 1 << 20 /* that a slow network must at least carry */
};

static const double FIRST_PAUSE = 0.1;
static const double LONGEST_PAUSE = 5;

bool redis_problem(struct store_problem *problem, enum store_trouble trouble, const char *format,
                   ...)
{
    va_list arguments;
    va_start(arguments, format);
    problem->trouble = trouble;
    (void)vsnprintf(problem->reason, sizeof problem->reason, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- commands ---- */

bool redis_command_init(struct redis_command *command, size_t room)
{
    *command = (struct redis_command){
        .texts = calloc(room, sizeof *command->texts),
        .lengths = calloc(room, sizeof *command->lengths),
        .numbers = calloc(room, sizeof *command->numbers),
        .room = room,
    };
    if (command->texts == NULL || command->lengths == NULL || command->numbers == NULL) {
        redis_command_release(command);
        return false;
    }
    return true;
}

void redis_command_release(struct redis_command *command)
{
    free(command->texts);
    free(command->lengths);
    free(command->numbers);
    *command = (struct redis_command){.room = 0};
}

void redis_command_bytes(struct redis_command *command, const char *bytes, size_t length)
{
    if (command->count < command->room) {
        command->texts[command->count] = length > 0 ? bytes : "";
        command->lengths[command->count] = length;
        command->count++;
    }
}

void redis_command_text(struct redis_command *command, const char *text)
{
    redis_command_bytes(command, text, strlen(text));
}

void redis_command_number(struct redis_command *command, uint64_t number)
{
    if (command->count < command->room) {
        char *digits = command->numbers[command->count];
        (void)snprintf(digits, sizeof *command->numbers, "%llu", (unsigned long long)number);
        redis_command_text(command, digits);
    }
}

/* ---- replies ---- */

bool redis_reply_number(const redisReply *reply, uint64_t *number)
{
    if (reply->type == REDIS_REPLY_INTEGER) {
        *number = (uint64_t)reply->integer;
        return reply->integer >= 0;
    }
    if (reply->type != REDIS_REPLY_STRING || reply->len == 0 || reply->len > 18) {
        return false;
    }
    *number = 0;
    for (const char *digit = reply->str; digit < reply->str + reply->len; digit++) {
        if (*digit < '0' || *digit > '9') {
            return false;
        }
        *number = *number * 10 + (uint64_t)(*digit - '0');
    }
    return true;
}

bool redis_reply_is_strings(const redisReply *reply, size_t count)
{
    if (reply->type != REDIS_REPLY_ARRAY || (count != SIZE_MAX && reply->elements != count)) {
        return false;
    }
    for (size_t i = 0; count != SIZE_MAX && i < count; i++) {
        if (reply->element[i]->type != REDIS_REPLY_STRING) {
            return false;
        }
    }
    return true;
}

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static void *(*create_any_array)(const redisReadTask *task, element_count count);

/* hiredis believes what a server says of an array, and asks for its memory first. */
static void *create_array(const redisReadTask *task, element_count count)
{
    unsigned depth = 0;
    for (const redisReadTask *outer = task; outer != NULL; outer = outer->parent) {
        depth++;
    }
    return (long long)count < 0 || (long long)count > MOST_ELEMENTS || depth > MOST_DEPTH
               ? NULL
               : create_any_array(task, count);
}

static redisReplyObjectFunctions reply_functions;

/* ---- losing the connection ---- */

static void disconnect(struct redis_link *link)
{
    if (link->context != NULL) {
        redisFree(link->context);
        link->context = NULL;
    }
}

/* For the calls that come too soon. */
static void back_off(struct redis_link *link, const struct store_problem *problem)
{
    link->again = clock_now() + link->pause;
    link->pause = link->pause * 2 < LONGEST_PAUSE ? link->pause * 2 : LONGEST_PAUSE;
    (void)snprintf(link->reason, sizeof link->reason, "%s", problem->reason);
}

/* The connection broke: the next attempt may be at once, unless the one before broke, too. */
static enum redis_outcome broken(struct redis_link *link, struct store_problem *problem,
                                 const char *how)
{
    (void)redis_problem(problem, STORE_UNAVAILABLE, "Redis at %s %s", link->url.place, how);
    disconnect(link);
    if (++link->losses > 1) {
        back_off(link, problem);
    }
    return REDIS_LOST;
}

static enum redis_outcome silent(struct redis_link *link, struct store_problem *problem)
{
    (void)redis_problem(problem, STORE_UNAVAILABLE, "Redis at %s does not answer in %g s",
                        link->url.place, link->url.timeout);
    disconnect(link);
    back_off(link, problem);
    return REDIS_SILENT;
}

bool redis_link_nonsense(struct redis_link *link, struct store_problem *problem)
{
    (void)broken(link, problem, "answers what it was not asked: is it Redis?");
    return false;
}

/* ---- errors ---- */

struct refusal {
    const char *word; /* of an error's text */
    enum store_trouble trouble;
    bool disconnects; /* another server may be there next time */
    const char *sentence;
};

static const struct refusal refusals[] = {
    {REDIS_FENCED, STORE_FENCED, false, "has given the source's lease to another process"},
    {REDIS_NEWER, STORE_UNFIT, false, "has an outbox of a newer version of sendapi"},
    {REDIS_FOREIGN, STORE_UNFIT, false, "has something that is not the outbox's in its keys"},
    {"WRONGTYPE", STORE_UNFIT, false, "has something that is not the outbox's under its keys"},
    {"LOADING", STORE_UNAVAILABLE, true, "is still loading its data"},
    {"READONLY", STORE_UNAVAILABLE, true, "is a replica and cannot be written"},
    {"MASTERDOWN", STORE_UNAVAILABLE, true, "is a replica that has lost its master"},
    {"OOM", STORE_UNAVAILABLE, false, "has reached its maxmemory and takes no more rows"},
    {"MISCONF", STORE_UNAVAILABLE, false, "cannot write to its disk and refuses changes"},
    {"NOREPLICAS", STORE_UNAVAILABLE, false, "has too few replicas and refuses changes"},
    {"BUSY", STORE_UNAVAILABLE, false, "is busy with a script that takes too long"},
    {"NOAUTH", STORE_UNAVAILABLE, true, "wants a password"},
    {"WRONGPASS", STORE_UNAVAILABLE, true, "does not accept the user or the password"},
    {"NOPERM", STORE_UNAVAILABLE, true, "does not permit this user what the outbox needs"},
    {"MOVED", STORE_UNAVAILABLE, false, "is a cluster's node, and another one has this source"},
    {"ASK", STORE_UNAVAILABLE, false, "is a cluster's node, and another one has this source"},
    {"CLUSTERDOWN", STORE_UNAVAILABLE, false, "is the node of a cluster that is down"},
    {"TRYAGAIN", STORE_UNAVAILABLE, false, "is a cluster's node that is handing over this source"},
    {"max number of clients", STORE_UNAVAILABLE, true, "has as many clients as it allows"},
};

static bool is_letter(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

/* As a word of its own: a script's error is quoted in another one by an older Redis. */
static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        if ((at == text || !is_letter(at[-1])) && !is_letter(at[length])) {
            return true;
        }
    }
    return false;
}

/* A url that lacks the password is not going to get one; a server may get its own back. */
static enum store_trouble trouble_of(const struct redis_link *link, const struct refusal *refusal)
{
    return strcmp(refusal->word, "NOAUTH") == 0 && !link->was_connected ? STORE_UNFIT
                                                                        : refusal->trouble;
}

/* An unknown error is told by its code alone: its text may quote what was sent. */
static void refused(struct redis_link *link, const redisReply *error, struct store_problem *problem)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (has_word(error->str, refusals[i].word)) {
            (void)redis_problem(problem, trouble_of(link, &refusals[i]), "Redis at %s %s",
                                link->url.place, refusals[i].sentence);
            if (refusals[i].disconnects) {
                disconnect(link);
                back_off(link, problem);
            }
            return;
        }
    }
    size_t code = 0;
    while (code < 24 && error->str[code] >= 'A' && error->str[code] <= 'Z') {
        code++;
    }
    (void)redis_problem(problem, STORE_UNAVAILABLE, "Redis at %s refuses a command (%.*s)",
                        link->url.place, code > 0 ? (int)code : 7,
                        code > 0 ? error->str : "no code");
}

/* ---- a command and its answer ---- */

/* Waits until the socket can be read or written; false when it is late. */
static bool wait_for(const struct redis_link *link, short events, double deadline)
{
    struct pollfd file = {.fd = link->context->fd, .events = events};
    double left = deadline - clock_now();
    if (left <= 0) {
        return false;
    }
    int ready = poll(&file, 1, (int)(left * 1000) + 1);
    return ready > 0 || (ready < 0 && errno == EINTR);
}

static enum redis_outcome write_all(struct redis_link *link, double deadline,
                                    struct store_problem *problem)
{
    int done = 0;
    while (!done) {
        if (!wait_for(link, POLLOUT, deadline)) {
            return silent(link, problem);
        }
        if (redisBufferWrite(link->context, &done) != REDIS_OK) {
            return broken(link, problem, "has closed the connection");
        }
    }
    return REDIS_ANSWERED;
}

static enum redis_outcome reading_failed(struct redis_link *link, struct store_problem *problem)
{
    int error = link->context->err;
    return broken(link, problem,
                  error == REDIS_ERR_PROTOCOL || error == REDIS_ERR_OOM
                      ? "answers what cannot be read: is it Redis?"
                      : "has closed the connection");
}

static enum redis_outcome read_one(struct redis_link *link, double deadline, redisReply **reply,
                                   struct store_problem *problem)
{
    size_t received = 0;
    for (void *whole = NULL;;) {
        if (redisGetReplyFromReader(link->context, &whole) != REDIS_OK) {
            return reading_failed(link, problem);
        }
        if (whole != NULL) {
            *reply = whole;
            return REDIS_ANSWERED;
        }
        size_t before = link->context->reader->len;
        if (!wait_for(link, POLLIN, deadline + (double)received / BYTES_PER_SECOND)) {
            return silent(link, problem);
        }
        if (redisBufferRead(link->context) != REDIS_OK) {
            return reading_failed(link, problem);
        }
        received += link->context->reader->len - before;
        if (received > MOST_REPLY) {
            return broken(link, problem, "answers without an end: is it Redis?");
        }
    }
}

/* Nothing is expected: a server that has closed an idle connection shows here, in time. */
static bool is_quiet(const struct redis_link *link)
{
    struct pollfd file = {.fd = link->context->fd, .events = POLLIN};
    return link->context->reader->pos == link->context->reader->len && poll(&file, 1, 0) == 0;
}

static enum redis_outcome exchange(struct redis_link *link, const struct redis_command *command,
                                   redisReply **reply, struct store_problem *problem)
{
    size_t bytes = 0;
    for (size_t i = 0; i < command->count; i++) {
        bytes += command->lengths[i];
    }
    double deadline = clock_now() + link->url.timeout + (double)bytes / BYTES_PER_SECOND;
    if (redisAppendCommandArgv(link->context, (int)command->count, command->texts,
                               command->lengths) != REDIS_OK) {
        disconnect(link);
        (void)redis_problem(problem, STORE_NO_MEMORY, "no memory for a command to Redis");
        return REDIS_REFUSED;
    }
    enum redis_outcome outcome = write_all(link, deadline, problem);
    return outcome == REDIS_ANSWERED ? read_one(link, deadline, reply, problem) : outcome;
}

/* hiredis writes to a socket that the other side may have closed. */
static redisReply *ask(struct redis_link *link, const struct redis_command *command,
                       enum redis_outcome *outcome, struct store_problem *problem)
{
    struct signals signals;
    redisReply *reply = NULL;
    signals_hold_pipe(&signals);
    *outcome = exchange(link, command, &reply, problem);
    signals_release(&signals);
    return reply;
}

/* The reply, unless it is an error. */
static redisReply *judge(struct redis_link *link, redisReply *reply, enum redis_outcome *outcome,
                         struct store_problem *problem)
{
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        *outcome = REDIS_REFUSED;
        refused(link, reply, problem);
        freeReplyObject(reply);
        return NULL;
    }
    if (reply != NULL) {
        link->losses = 0;
        link->pause = FIRST_PAUSE;
    }
    return reply;
}

redisReply *redis_link_call(struct redis_link *link, const struct redis_command *command,
                            enum redis_outcome *outcome, struct store_problem *problem)
{
    redisReply *reply = ask(link, command, outcome, problem);
    return judge(link, reply, outcome, problem);
}

/* A command of a few words; an error, or no answer at all, is the caller's to look at. */
static redisReply *say(struct redis_link *link, enum redis_outcome *outcome,
                       struct store_problem *problem, size_t count, const char *const *words)
{
    const char *texts[4];
    size_t lengths[4];
    struct redis_command command = {.texts = texts, .lengths = lengths, .count = count};
    for (size_t i = 0; i < count; i++) {
        texts[i] = words[i];
        lengths[i] = strlen(words[i]);
    }
    return ask(link, &command, outcome, problem);
}

#define SAY(link, outcome, problem, ...)                                                           \
    say(link, outcome, problem, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),            \
        (const char *[]){__VA_ARGS__})

/* ---- scripts ---- */

/* A user that may not load scripts may still have them evaluated. */
static bool load(struct redis_link *link, enum redis_script script, enum redis_outcome *outcome,
                 struct store_problem *problem)
{
    char *name = link->names[script];
    redisReply *reply = SAY(link, outcome, problem, "SCRIPT", "LOAD", link->texts[script]);
    if (reply == NULL) {
        return false;
    }
    bool is_name = reply->type == REDIS_REPLY_STRING && reply->len == REDIS_SCRIPT_NAME - 1;
    (void)snprintf(name, REDIS_SCRIPT_NAME, "%s", is_name ? reply->str : "-");
    freeReplyObject(reply);
    return true;
}

static void name_script(struct redis_link *link, enum redis_script script,
                        struct redis_command *command)
{
    bool known = link->names[script][0] != '-';
    command->texts[0] = known ? "EVALSHA" : "EVAL";
    command->texts[1] = known ? link->names[script] : link->texts[script];
    command->lengths[0] = strlen(command->texts[0]);
    command->lengths[1] = strlen(command->texts[1]);
}

redisReply *redis_link_script(struct redis_link *link, enum redis_script script,
                              struct redis_command *command, enum redis_outcome *outcome,
                              struct store_problem *problem)
{
    char *name = link->names[script];
    if (name[0] == '\0' && !load(link, script, outcome, problem)) {
        return NULL;
    }
    name_script(link, script, command);
    redisReply *reply = ask(link, command, outcome, problem);
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR && has_word(reply->str, "NOSCRIPT")) {
        freeReplyObject(reply);
        name[0] = '-'; /* this time; it is loaded anew the next */
        name_script(link, script, command);
        reply = ask(link, command, outcome, problem);
        name[0] = '\0';
    }
    return judge(link, reply, outcome, problem);
}

/* ---- connecting ---- */

/* The value of a line `name:value` of INFO; "" when there is none. */
static void info_value(const char *info, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);
    value[0] = '\0';
    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            (void)snprintf(value, size, "%.*s", (int)strcspn(line + length + 1, "\r\n"),
                           line + length + 1);
            return;
        }
    }
}

/* What an error to the password means must be said without what the server says. */
static bool log_in(struct redis_link *link, struct store_problem *problem)
{
    const struct redis_url *url = &link->url;
    enum redis_outcome outcome;
    if (url->password[0] == '\0') {
        return true;
    }
    redisReply *reply = url->user[0] != '\0'
                            ? SAY(link, &outcome, problem, "AUTH", url->user, url->password)
                            : SAY(link, &outcome, problem, "AUTH", url->password);
    if (reply == NULL) {
        return false;
    }
    bool fine = reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    return fine ||
           redis_problem(problem, link->was_connected ? STORE_UNAVAILABLE : STORE_UNFIT,
                         "Redis at %s does not accept the user or the password", url->place);
}

static bool select_db(struct redis_link *link, struct store_problem *problem)
{
    char number[24];
    enum redis_outcome outcome;
    if (link->url.db == 0) {
        return true;
    }
    (void)snprintf(number, sizeof number, "%u", link->url.db);
    redisReply *reply = SAY(link, &outcome, problem, "SELECT", number);
    if (reply == NULL) {
        return false;
    }
    bool fine = reply->type == REDIS_REPLY_STATUS;
    if (!fine && reply->type == REDIS_REPLY_ERROR) {
        refused(link, reply, problem);
    }
    freeReplyObject(reply);
    return fine ||
           (has_word(problem->reason, "refuses a command")
                ? redis_problem(problem, STORE_UNFIT, "Redis at %s has no such db", link->url.place)
                : false);
}

/* Rows that were read from another run of the server may not be there any more. */
static void note_run(struct redis_link *link, const char *run)
{
    if (run[0] == '\0' || strcmp(run, link->run) != 0) {
        link->history++;
        (void)snprintf(link->run, sizeof link->run, "%s", run);
    }
}

/* One part of INFO; an error is no answer, and no failure: a user may not be permitted to ask. */
static bool inform(struct redis_link *link, const char *part, redisReply **info,
                   struct store_problem *problem)
{
    enum redis_outcome outcome;
    *info = SAY(link, &outcome, problem, "INFO", part);
    if (*info == NULL) {
        return false;
    }
    bool is_error = (*info)->type == REDIS_REPLY_ERROR;
    if ((*info)->type == REDIS_REPLY_STRING) {
        return true;
    }
    bool goes_on = is_error && has_word((*info)->str, "NOPERM");
    if (is_error && !goes_on) {
        refused(link, *info, problem);
    }
    freeReplyObject(*info);
    *info = NULL;
    return goes_on || (!is_error && redis_link_nonsense(link, problem));
}

static bool is_new_enough(struct redis_link *link, struct store_problem *problem)
{
    redisReply *info;
    char run[sizeof link->run] = "";
    char version[24] = "";
    if (!inform(link, "server", &info, problem)) {
        return false;
    }
    if (info != NULL) {
        info_value(info->str, "run_id", run, sizeof run);
        info_value(info->str, "redis_version", version, sizeof version);
        freeReplyObject(info);
    }
    note_run(link, run);
    return version[0] == '\0' || version[0] > '9' || version[0] < '0' || version[0] >= '5' ||
           version[1] != '.' ||
           redis_problem(problem, STORE_UNFIT,
                         "Redis at %s is version %s, and the outbox needs 5 or newer",
                         link->url.place, version);
}

static bool is_master(struct redis_link *link, struct store_problem *problem)
{
    redisReply *info;
    char role[16] = "";
    if (!inform(link, "replication", &info, problem)) {
        return false;
    }
    if (info != NULL) {
        info_value(info->str, "role", role, sizeof role);
        freeReplyObject(info);
    }
    return strcmp(role, "slave") != 0 ||
           redis_problem(problem, STORE_UNAVAILABLE, "Redis at %s is a replica", link->url.place);
}

/* From here on we wait ourselves, by the clock: hiredis would wait anew for every byte. */
static bool unblock(redisContext *context)
{
    int flags = fcntl(context->fd, F_GETFL);
    context->flags &= ~REDIS_BLOCK;
    context->reader->fn = &reply_functions;
    return flags >= 0 && fcntl(context->fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(context->fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool open_socket(struct redis_link *link, struct store_problem *problem)
{
    const struct redis_url *url = &link->url;
    struct timeval limit = {.tv_sec = (time_t)url->timeout};
    limit.tv_usec = (suseconds_t)((url->timeout - (double)limit.tv_sec) * 1e6);
    redisContext *context = url->is_unix
                                ? redisConnectUnixWithTimeout(url->host, limit)
                                : redisConnectWithTimeout(url->host, (int)url->port, limit);
    if (context == NULL) {
        return redis_problem(problem, STORE_NO_MEMORY, "no memory for a connection to Redis");
    }
    if (context->err != 0 || !unblock(context)) {
        (void)redis_problem(problem, STORE_UNAVAILABLE, "Redis at %s cannot be reached: %s",
                            url->place, context->err != 0 ? context->errstr : "no descriptor");
        redisFree(context);
        return false;
    }
    (void)(url->is_unix || redisEnableKeepAlive(context));
    link->context = context;
    return true;
}

bool redis_link_ready(struct redis_link *link, struct store_problem *problem)
{
    if (link->context != NULL && is_quiet(link)) {
        return true;
    }
    disconnect(link);
    if (clock_now() < link->again) {
        return redis_problem(problem, STORE_UNAVAILABLE, "%s", link->reason);
    }
    if (open_socket(link, problem) && log_in(link, problem) && select_db(link, problem) &&
        is_new_enough(link, problem) && is_master(link, problem)) {
        (void)memset(link->names, 0, sizeof link->names);
        link->was_connected = true;
        return true;
    }
    disconnect(link);
    back_off(link, problem);
    return false;
}

/* ---- the beginning and the end ---- */

static pthread_once_t functions_made = PTHREAD_ONCE_INIT;

static void make_functions(void)
{
    redisReader *reader = redisReaderCreate();
    if (reader != NULL) {
        reply_functions = *reader->fn;
        create_any_array = reader->fn->createArray;
        reply_functions.createArray = create_array;
        redisReaderFree(reader);
    }
}

bool redis_link_init(struct redis_link *link, const struct redis_url *url)
{
    *link = (struct redis_link){.url = *url, .pause = FIRST_PAUSE};
    (void)pthread_once(&functions_made, make_functions);
    bool fine = create_any_array != NULL;
    for (int i = 0; i < REDIS_SCRIPTS; i++) {
        link->texts[i] = redis_script_text((enum redis_script)i);
        fine = fine && link->texts[i] != NULL;
    }
    return fine;
}

void redis_link_close(struct redis_link *link)
{
    disconnect(link);
    for (int i = 0; i < REDIS_SCRIPTS; i++) {
        free(link->texts[i]);
    }
    redis_url_wipe(&link->url);
}

/* ---- how the server is set up ---- */

/* "" when it does not tell, or nobody may ask. */
static void configured(struct redis_link *link, const char *name, char *value, size_t size)
{
    struct store_problem problem;
    enum redis_outcome outcome;
    value[0] = '\0';
    redisReply *reply =
        link->context != NULL ? SAY(link, &outcome, &problem, "CONFIG", "GET", name) : NULL;
    if (reply != NULL && redis_reply_is_strings(reply, 2)) {
        (void)snprintf(value, size, "%s", reply->element[1]->str);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
}

static void warn(const struct redis_link *link, const struct store_settings *settings,
                 const char *what)
{
    char sentence[STORE_REASON];
    (void)snprintf(sentence, sizeof sentence, "Redis at %s %s", link->url.place, what);
    settings->warn(settings->warn_context, sentence);
}

void redis_link_warn(struct redis_link *link, const struct store_settings *settings)
{
    char value[32];
    if (settings->warn == NULL) {
        return;
    }
    configured(link, "maxmemory-policy", value, sizeof value);
    if (value[0] != '\0' && strcmp(value, "noeviction") != 0) {
        warn(link, settings,
             "has a maxmemory-policy other than noeviction: when its memory is "
             "full it may throw accepted messages away");
    }
    configured(link, "appendonly", value, sizeof value);
    if (strcmp(value, "no") == 0) {
        warn(link, settings, "has appendonly off: when it stops, accepted messages may be lost");
        return;
    }
    configured(link, "appendfsync", value, sizeof value);
    if (value[0] != '\0' && strcmp(value, "always") != 0 && !settings->is_process_only) {
        warn(link, settings,
             strcmp(value, "everysec") == 0
                 ? "has appendfsync everysec: when its machine loses power, accepted messages of "
                   "up to a second may be lost"
                 : "has appendfsync off: when its machine loses power, accepted messages may be "
                   "lost");
    }
}
