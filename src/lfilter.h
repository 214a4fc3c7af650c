#ifndef SENDAPI_LFILTER_H
#define SENDAPI_LFILTER_H

#include <lua.h>

#include "dead_letters.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/*
 * Reads the filter in the table at `index`, as letter_filter.lua makes it. Its texts are the
 * table's. Raises when something else is in it.
 */
struct letter_filter filter_read(lua_State *L, int index);

SENDAPI_HIDDEN_END

#endif
