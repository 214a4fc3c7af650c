/*
 * core.file(path, filename, type) -> file
 *
 * `path` is where it is read, `filename` what the receiver sees, `type` nil or the attachment's
 * type.
 */

#include "lfile.h"

#include <string.h> /* memcpy(3) strlen(3) */

#include "lcompat.h"

static const char CLASS[] = "sendapi.file";

static char *place(const char **where, char *memory, const char *text, size_t length)
{
    memcpy(memory, text, length + 1);
    *where = memory;
    return memory + length + 1;
}

static int file_new(lua_State *L)
{
    size_t path_length;
    size_t filename_length;
    size_t type_length;
    const char *path = luaL_checklstring(L, 1, &path_length);
    const char *filename = luaL_checklstring(L, 2, &filename_length);
    const char *type = luaL_optlstring(L, 3, "", &type_length);
    luaL_argcheck(L, strlen(path) == path_length, 1, "a path cannot hold a NUL");
    size_t size = sizeof(struct file) + path_length + filename_length + type_length + 3;
    struct file *file = compat_newobject(L, CLASS, size);
    file->filename_length = filename_length;
    file->type_length = type_length;
    char *memory = place(&file->path, file->memory, path, path_length);
    memory = place(&file->filename, memory, filename, filename_length);
    (void)place(&file->type, memory, type, type_length);
    return 1;
}

const struct file *file_test(lua_State *L, int index)
{
    return compat_testobject(L, index, CLASS);
}

static int file_release(lua_State *L)
{
    (void)L; /* plain memory of the userdata */
    return 0;
}

static const luaL_Reg methods[] = {{NULL, NULL}};

void file_open(lua_State *L)
{
    compat_newclass(L, CLASS, methods, file_release);
    lua_pushcfunction(L, file_new);
    lua_setfield(L, -2, "file");
}
