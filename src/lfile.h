#ifndef SENDAPI_LFILE_H
#define SENDAPI_LFILE_H

#include <stddef.h> /* size_t */

#include <lua.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* A file to be attached: its name is fixed here, it is read when a message with it is encoded. */
struct file {
    size_t filename_length;
    size_t type_length; /* 0: none */
    const char *path;   /* terminated, all three within the userdata */
    const char *filename;
    const char *type;
    char memory[];
};

/* Adds `file` to the module table on top of the stack. */
void file_open(lua_State *L);

/* The file at `index`, or NULL when it is something else. The userdata owns it. */
const struct file *file_test(lua_State *L, int index);

SENDAPI_HIDDEN_END

#endif
