#include "command.h"

#include <stdlib.h> /* calloc(3) free(3) malloc(3) */
#include <string.h> /* memcpy(3) strlen(3) */

#include "request.h"

struct command *command_new(enum command_kind kind)
{
    struct command *command = calloc(1, sizeof *command);
    if (command != NULL) {
        command->kind = kind;
        command->letters_end = &command->letters;
    }
    return command;
}

struct request *command_request(struct endpoint *endpoint, enum command_kind kind)
{
    struct request *request = calloc(1, sizeof *request);
    struct command *command = command_new(kind);
    if (request == NULL || command == NULL) {
        free(request);
        free(command);
        return NULL;
    }
    request->verb = REQUEST_COMMAND;
    request->command = command;
    request->endpoint = endpoint;
    request->outcome.retry_after = -1;
    endpoint_retain(endpoint);
    return request;
}

/* Copies bytes to where the room is, terminates them, and moves on. */
static const char *put(char **room, const char *bytes, size_t length)
{
    char *copy = *room;
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    copy[length] = '\0';
    *room += length + 1;
    return copy;
}

bool command_add_letter(struct command *command, const struct store_letter *letter)
{
    const struct store_row *row = &letter->row;
    size_t action = strlen(row->action);
    size_t code = strlen(letter->code);
    size_t reason = strlen(letter->reason);
    size_t body = row->body != NULL ? row->length : 0;
    struct command_letter *copy =
        malloc(sizeof *copy + row->lane_length + body + action + code + reason + 5);
    if (copy == NULL) {
        return false;
    }
    char *room = (char *)(copy + 1);
    copy->next = NULL;
    copy->letter = *letter;
    copy->letter.row.lane = put(&room, row->lane, row->lane_length);
    copy->letter.row.body = row->body != NULL ? put(&room, row->body, body) : NULL;
    copy->letter.row.action = put(&room, row->action, action);
    copy->letter.code = put(&room, letter->code, code);
    copy->letter.reason = put(&room, letter->reason, reason);
    *command->letters_end = copy;
    command->letters_end = &copy->next;
    command->count++;
    return true;
}

void command_dismiss(struct request *request)
{
    if (request->command->kind >= COMMAND_DIED) {
        (void)atomic_fetch_sub(&request->endpoint->notices, 1);
    }
}

void command_free(struct command *command)
{
    if (command == NULL) {
        return;
    }
    while (command->letters != NULL) {
        struct command_letter *letter = command->letters;
        command->letters = letter->next;
        free(letter);
    }
    free(command->filter);
    free(command);
}
