/*
 * name_table: maps the names that buyers choose (keys and buyer names) to slot numbers, for the
 * standalone stock. The size is fixed at start. A name is stored as its 128-bit SipHash under a
 * secret of this process: buyers cannot choose names that collide, and every entry has one size.
 * The data of a slot belongs to the caller, in an array of its own.
 *
 * Owner: the ledger thread.
 */
#ifndef SPIKE_NAME_TABLE_H
#define SPIKE_NAME_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/arena.h"

#define NAME_TABLE_NONE UINT32_MAX /* no slot */

/* The tables of a process. */
enum name_table_id { NAME_TABLE_KEYS, NAME_TABLE_BUYERS, NAME_TABLES };

struct name_table;

/* A table of `capacity` names, 1 .. UINT32_MAX - 1. `pool` names its memory in the arena's plan. */
struct name_table *name_table_plan(enum name_table_id id, struct arena *a, const char *pool,
                                   uint32_t capacity);
void name_table_init(struct name_table *t, const struct arena *a);

/* The slot of an event's name, 0 .. capacity - 1, or NAME_TABLE_NONE. A name has 1 .. PARAM_MAX
 * bytes. */
uint32_t name_table_find(const struct name_table *t, uint32_t event, const char *name, size_t len);
/* Adds a name that is not in the table and returns its slot. NAME_TABLE_NONE: the table is full. */
uint32_t name_table_add(struct name_table *t, uint32_t event, const char *name, size_t len);
/* Frees the slot, which must be in use. */
void name_table_remove(struct name_table *t, uint32_t slot);

/* Names in the table, and how many it can hold. */
uint32_t name_table_used(const struct name_table *t);
uint32_t name_table_capacity(const struct name_table *t);

#endif
