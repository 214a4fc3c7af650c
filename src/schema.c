#include "schema.h"

#include <stdlib.h> /* calloc(3) free(3) */
#include <string.h> /* memcpy(3) memcmp(3) */

struct schema_block {
    struct schema_block *next;
    max_align_t memory[];
};

void *schema_allocate(struct schema *schema, size_t size)
{
    struct schema_block *block = calloc(1, sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    block->next = schema->blocks;
    schema->blocks = block;
    return block->memory;
}

struct schema_text schema_copy(struct schema *schema, const char *bytes, size_t length)
{
    char *copy = schema_allocate(schema, length + 1);
    if (copy != NULL) {
        memcpy(copy, bytes, length);
    }
    return (struct schema_text){.bytes = copy, .length = length};
}

void schema_release(struct schema *schema)
{
    struct schema_block *block = schema->blocks;
    while (block != NULL) {
        struct schema_block *next = block->next;
        free(block);
        block = next;
    }
    *schema = (struct schema){.blocks = NULL};
}

static size_t slot_of(const struct schema_object *object, const char *interned)
{
    uintptr_t address = (uintptr_t)interned;
    return (size_t)(address >> 3 ^ address >> 9) & object->slot_mask;
}

bool schema_index(struct schema *schema, struct schema_object *object)
{
    size_t size = 4;
    while (size < object->count * 4) {
        size *= 2;
    }
    object->slots = schema_allocate(schema, size * sizeof *object->slots);
    object->slot_mask = size - 1;
    if (object->slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < object->count; i++) {
        const char *interned = object->fields[i].interned;
        size_t slot = slot_of(object, interned);
        while (object->slots[slot].interned != NULL) {
            slot = (slot + 1) & object->slot_mask;
        }
        object->slots[slot] = (struct schema_slot){interned, (int)i};
    }
    return true;
}

static bool same(const struct schema_text *known, const char *text, size_t length)
{
    return known->length == length && memcmp(known->bytes, text, length) == 0;
}

int schema_find_choice(const struct schema_type *type, const char *text, size_t length)
{
    for (size_t i = 0; i < type->choice_count; i++) {
        if (same(&type->choices[i], text, length)) {
            return (int)i;
        }
    }
    return -1;
}

/* The name is mostly the state's own string; another one with the same bytes is rare. */
int schema_find(const struct schema_object *object, const char *name, size_t length)
{
    const struct schema_slot *slot = &object->slots[slot_of(object, name)];
    while (slot->interned != NULL && slot->interned != name) {
        size_t next = (size_t)(slot - object->slots) + 1;
        slot = &object->slots[next & object->slot_mask];
    }
    if (slot->interned == name) {
        return slot->field;
    }
    for (size_t i = 0; i < object->count; i++) {
        if (same(&object->fields[i].name, name, length)) {
            return (int)i;
        }
    }
    return -1;
}
