#ifndef SENDAPI_VISIBILITY_H
#define SENDAPI_VISIBILITY_H

/*
 * One symbol leaves the shared object: luaopen_sendapi_core. Every internal header puts its
 * declarations between SENDAPI_HIDDEN_BEGIN and SENDAPI_HIDDEN_END, so that this holds under any
 * compiler flags, LuaRocks' own among them.
 */
#if defined(__GNUC__)
#define SENDAPI_HIDDEN_BEGIN _Pragma("GCC visibility push(hidden)")
#define SENDAPI_HIDDEN_END _Pragma("GCC visibility pop")
#define SENDAPI_EXPORT __attribute__((visibility("default")))
#else
#define SENDAPI_HIDDEN_BEGIN
#define SENDAPI_HIDDEN_END
#define SENDAPI_EXPORT
#endif

#endif
