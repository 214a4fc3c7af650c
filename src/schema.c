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

/* Of length, first, middle and last byte: field names differ in those. */
static size_t hash(const char *name, size_t length)
{
    if (length == 0) {
        return 0;
    }
    size_t first = (unsigned char)name[0];
    size_t middle = (unsigned char)name[length / 2];
    size_t last = (unsigned char)name[length - 1];
    return length * 5 + first * 3 + middle * 7 + (last << 2) + last;
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
        const struct schema_field *field = &object->fields[i];
        size_t slot = hash(field->name.bytes, field->name.length) & object->slot_mask;
        while (object->slots[slot].field != 0) {
            slot = (slot + 1) & object->slot_mask;
        }
        object->slots[slot] = (struct schema_slot){field->interned, (int)i + 1};
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

int schema_find(const struct schema_object *object, const char *name, size_t length)
{
    size_t slot = hash(name, length) & object->slot_mask;
    for (; object->slots[slot].field != 0; slot = (slot + 1) & object->slot_mask) {
        int index = object->slots[slot].field - 1;
        if (object->slots[slot].interned == name ||
            same(&object->fields[index].name, name, length)) {
            return index;
        }
    }
    return -1;
}
