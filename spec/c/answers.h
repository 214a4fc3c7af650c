#ifndef SENDAPI_ANSWERS_H
#define SENDAPI_ANSWERS_H

/* Answers and plans (server.h) that more than one of the transfer's tests uses. */

#include "server.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
#define OK OK_HEAD "\r\nok"
#define LAST(status, text) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" text
#define TOO_LARGE_TEXT "Invalid request size (max: 20971520 bytes)"

#define PLAN(at, says, ...)                                                                        \
    {                                                                                              \
        .path = at, .text = says, __VA_ARGS__                                                      \
    }
#define OK_PLAN                                                                                    \
    {                                                                                              \
        .path = "/ok", .text = OK                                                                  \
    }

#endif
