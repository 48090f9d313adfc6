/*
 * stock_in_redis: reads what Redis holds, and damages it without the knowledge of the nodes. For
 * the tests of storage/stock.
 */
#ifndef SPIKE_STOCK_IN_REDIS_H
#define SPIKE_STOCK_IN_REDIS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "tests/lib/redis_fixture.h"

#define H        "ticket_hash_key"
#define REQUESTS "{" H "}:requests"
#define BUYERS   "{" H "}:buyers"
#define GRANTS   "{" H "}:grants"
#define ORDERS   "{" H "}:orders"
#define NO_FIELD (-12345)

static struct redis_fixture redis;

static inline long long field(const char *name)
{
    return redis_fixture_field(&redis, H, name);
}

static inline long long tickets_of(const char *buyer)
{
    return redis_fixture_field(&redis, BUYERS, buyer);
}

static inline long long count_of(const char *command)
{
    redisReply *reply = redisCommand(redis.c, command);
    assert_non_null(reply);
    long long count = reply->type == REDIS_REPLY_INTEGER ? reply->integer : NO_FIELD;
    freeReplyObject(reply);
    return count;
}

/* gone = held + sold + pending of each node, ours = the sum of them, sold = ours + foreign. */
static inline void assert_sums(void)
{
    static const char script[] =
        "local sum, h = 0, KEYS[1] "
        "for id in string.gmatch(redis.call('HGET', h, 'known'), '%d+') do "
        "local function get(name) return redis.call('HGET', h, id .. ':' .. name) or '0' end "
        "local waiting = 0 "
        "for n in string.gmatch('\\n' .. get('pending'), '\\n(%d+)') do waiting = waiting + n end "
        "sum = sum + get('gone') "
        "if get('held') + get('sold') + waiting ~= tonumber(get('gone')) "
        "or tonumber(get('held')) < 0 or tonumber(get('sold')) < 0 then return -tonumber(id) end "
        "end return sum";
    redisReply *reply = redisCommand(redis.c, "EVAL %s 1 " H, script);
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    assert_int_equal(reply->integer, field("ours"));
    assert_true(field("ticket_sold_nums") >= field("ours"));
    freeReplyObject(reply);
}

/* A hash as one text, its fields in order, without the field of the sale and the revision. */
static inline void contents(const char *key, char *out, size_t size)
{
    static const char script[] = "local all, text = redis.call('HGETALL', KEYS[1]), {} "
                                 "for i = 1, #all, 2 do if all[i] ~= '' then "
                                 "text[#text + 1] = all[i] .. '=' .. all[i + 1] end end "
                                 "table.sort(text) return table.concat(text, ' ')";
    redisReply *reply = redisCommand(redis.c, "EVAL %s 1 %s", script, key);
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    assert_true(reply->len < size);
    strcpy(out, reply->str);
    freeReplyObject(reply);
}

/* ---- losses --------------------------------------------------------------------------------- */

static const char *const all_keys[] = {H, REQUESTS, BUYERS, GRANTS, ORDERS};

/* Database 1 keeps a copy of all keys. */
static inline void take_dump(void)
{
    redis_fixture_do(&redis, "SELECT 1");
    redis_fixture_do(&redis, "FLUSHDB");
    redis_fixture_do(&redis, "SELECT 0");
    for (size_t i = 0; i < sizeof all_keys / sizeof *all_keys; i++)
        redis_fixture_do(&redis, "COPY %s %s DB 1", all_keys[i], all_keys[i]);
}

/* Copies the keys of the events "ticket" and "seat" to, or back from, keys of the same names and
 * `:name`. */
static inline void snapshot(const char *name, bool back)
{
    static const char script[] =
        "for _, h in ipairs({'ticket_hash_key', 'seat_hash_key'}) do "
        "for _, s in ipairs({'', ':requests', ':buyers', ':grants', ':nodes', ':orders'}) do "
        "local key = s == '' and h or '{' .. h .. '}' .. s local kept = key .. ARGV[1] "
        "local from, to = key, kept if ARGV[2] == '1' then from, to = kept, key end "
        "if redis.call('COPY', from, to, 'REPLACE') == 0 then redis.call('DEL', to) end "
        "end end";
    redis_fixture_do(&redis, "EVAL %s 0 :%s %d", script, name, back ? 1 : 0);
}

/* A new Redis with the old dump, or (not restarted) one that was restored while it runs. */
static inline void fall_back(bool restarted)
{
    redis_fixture_do(&redis, "FLUSHDB");
    redis_fixture_do(&redis, "SELECT 1");
    for (size_t i = 0; i < sizeof all_keys / sizeof *all_keys; i++)
        redis_fixture_do(&redis, "COPY %s %s DB 0", all_keys[i], all_keys[i]);
    redis_fixture_do(&redis, "SELECT 0");
    if (restarted)
        redis_fixture_do(&redis, "HSET " H " run another");
}

/* Keys, buyers or key hashes are those of the dump; all else is current. */
static inline void fall_back_alone(const char *key)
{
    redis_fixture_do(&redis, "SELECT 1");
    redis_fixture_do(&redis, "COPY %s %s DB 0 REPLACE", key, key);
    redis_fixture_do(&redis, "SELECT 0");
}

/* Deletes one field of the hash and returns its name. */
static inline const char *lose_a_field(uint32_t roll)
{
    static const char *const fields[] = {"ours",
                                         "known",
                                         "run",
                                         "turn",
                                         "begun",
                                         "secret",
                                         "ticket_total_nums",
                                         "ticket_sold_nums",
                                         "sale",
                                         "version",
                                         "state",
                                         "requests",
                                         "buyers",
                                         "marks",
                                         "rebuild",
                                         "1:epoch",
                                         "1:ready",
                                         "1:last",
                                         "1:pos",
                                         "1:done",
                                         "1:pending",
                                         "1:held",
                                         "1:sold",
                                         "1:gone",
                                         "2:rebuild",
                                         "2:last",
                                         "2:pos",
                                         "2:done",
                                         "2:pending",
                                         "2:held",
                                         "2:sold",
                                         "2:gone",
                                         "2:epoch",
                                         "1:rebuild",
                                         "1:proof",
                                         "2:proof",
                                         "since"};
    const char *name = fields[roll % (sizeof fields / sizeof *fields)];
    redis_fixture_do(&redis, "HDEL " H " %s", name);
    return name;
}

#endif
