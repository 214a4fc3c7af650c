#ifndef SENDAPI_SCHEMA_H
#define SENDAPI_SCHEMA_H

/*
 * A compiled schema: what lua/sendapi/schema.lua says (the meaning of every word stands there),
 * laid out for the encoder. It never changes once it is compiled. Everything in it lives in the
 * schema's own blocks and dies with it.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum { SCHEMA_MAXIMUM_FIELDS = 64 }; /* of one object: sets of its fields are bits of a word */

enum schema_kind {
    SCHEMA_STRING,
    SCHEMA_DATE,
    SCHEMA_URL,
    SCHEMA_CHOICE,
    SCHEMA_BOOLEAN,
    SCHEMA_ANY,
    SCHEMA_ARRAY,
    SCHEMA_ONE_OR_MANY,
    SCHEMA_MAP,
    SCHEMA_OBJECT,
    SCHEMA_VARIANT,
    SCHEMA_KINDS,
};

/* A text of the schema's own, terminated as well. */
struct schema_text {
    const char *bytes;
    size_t length;
};

struct schema_object;

struct schema_type {
    enum schema_kind kind;
    size_t maximum;                     /* characters or items; 0: none */
    bool word_keys;                     /* map */
    const struct schema_type *of;       /* array, one_or_many, map */
    const struct schema_object *object; /* object */
    struct schema_text tag;             /* variant: the field that decides */
    const struct schema_text *choices;  /* choice: the values; variant: the tag's values */
    size_t choice_count;
    const struct schema_object **variants; /* variant: one for each choice */
};

struct schema_field {
    struct schema_text name;
    const char *interned; /* the name as the Lua state keeps it: mostly it is this one that comes */
    struct schema_text key;       /* as it is written: ,"name": */
    struct schema_text otherwise; /* the key and its value where the field is absent; or NULL */
    struct schema_type type;
    bool required;
    uint64_t unless; /* the siblings that waive it */
    uint64_t with;   /* the sibling that makes it required, as a set of one */
    int when;        /* the index of the sibling whose value decides; -1: none */
    struct schema_text when_value;
    int flag; /* the index of the sibling object with the flag; -1: none */
    struct schema_text flag_name;
};

struct schema_slot {
    const char *interned; /* the field's; NULL: the slot is empty */
    int field;            /* its index */
};

struct schema_object {
    struct schema_field *fields;
    size_t count;
    uint64_t always;           /* the fields that are required whatever stands beside them … */
    uint64_t sometimes;        /* … and those for which that decides */
    uint64_t defaults;         /* the fields that are written though they are absent */
    bool file;                 /* takes a sendapi.file instead of a table */
    struct schema_slot *slots; /* a hash table of the fields, by their interned names */
    size_t slot_mask;
};

struct schema {
    struct schema_type root;
    struct schema_text root_name; /* what paths begin with */
    struct schema_text prefix;    /* what is written before and after the value */
    struct schema_text suffix;
    bool extra_fields;           /* fields that the schema does not know pass through */
    struct schema_block *blocks; /* the memory of all of the above */
};

/* Zeroed memory that lives as long as the schema; NULL without memory. */
void *schema_allocate(struct schema *schema, size_t size);

/* A copy of a text; .bytes is NULL without memory. */
struct schema_text schema_copy(struct schema *schema, const char *bytes, size_t length);

/* Frees everything and leaves an empty schema. Twice is harmless. */
void schema_release(struct schema *schema);

/* Builds the slots of an object whose fields have their interned names; false without memory. */
bool schema_index(struct schema *schema, struct schema_object *object);

/* The index of a text among the type's choices, or -1. */
int schema_find_choice(const struct schema_type *type, const char *text, size_t length);

/* The lowest member of a set that is not empty. */
static inline int schema_lowest(uint64_t set)
{
#if defined(__GNUC__)
    return __builtin_ctzll(set);
#else
    int lowest = 0;
    while ((set >> lowest & 1) == 0) {
        lowest++;
    }
    return lowest;
#endif
}

/* The index of a field, or -1. */
int schema_find(const struct schema_object *object, const char *name, size_t length);

SENDAPI_HIDDEN_END

#endif
