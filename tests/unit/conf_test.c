/*
 * Why: an operator changes spike.conf minutes before a sale. What is correct must mean what
 * spike.conf(5) says, and what is wrong must be refused with its line: a setting that is silently
 * misread sells the wrong number of tickets.
 */
/* needs: conf/base/conf.c conf/base/conf_addr.c conf/base/conf_finish.c conf/base/conf_lex.c
 * conf/base/conf_print.c conf/base/conf_settings.c conf/base/conf_value.c conf/base/fault.c
 * conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants the four above first */

#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/base/conf.h"
#include "conf/base/conf_settings.h"
#include "conf/base/conf_value.h"

#define BASE "node 1; listen 127.0.0.1:3005; journal j;"
#define SALE "event ticket { total 100; }"

static char dir[] = "/tmp/spike-conf-test-XXXXXX";
static struct conf conf;
static struct fault why;

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_bytes(const char *name, const void *bytes, size_t len)
{
    FILE *file = fopen(path_of(name), "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void must_load(const char *text)
{
    write_file("a.conf", text);
    why.text[0] = '\0';
    if (!conf_load(&conf, path_of("a.conf"), &why))
        fail_msg("refused: %s\n%s", why.text, text);
}

/* The error stands at FILE:LINE and contains `part`. */
static void must_point(const char *name, int line, const char *part)
{
    char location[300];
    snprintf(location, sizeof location, "%s/%s:%d: ", dir, name, line);
    if (strncmp(why.text, location, strlen(location)) != 0)
        fail_msg("not at %s but: %s", location, why.text);
    if (strstr(why.text + strlen(location), part) == NULL)
        fail_msg("does not say '%s': %s", part, why.text);
}

static void must_refuse(const char *text, int line, const char *part)
{
    write_file("a.conf", text);
    if (conf_load(&conf, path_of("a.conf"), &why))
        fail_msg("accepted: %s", text);
    must_point("a.conf", line, part);
}

/* One setting more at the top (line 2) or in the event (line 3). */
static void must_refuse_top(const char *setting, const char *part)
{
    char text[4096];
    snprintf(text, sizeof text, BASE "\n%s\n" SALE, setting);
    must_refuse(text, 2, part);
}

static void must_refuse_event(const char *setting, const char *part)
{
    char text[4096];
    snprintf(text, sizeof text, BASE "\nevent e { total 100;\n%s\n}", setting);
    must_refuse(text, 3, part);
}

static void the_shortest_file_has_all_defaults(void **state)
{
    (void)state;
    must_load(BASE SALE);
    cpu_set_t cores;
    assert_int_equal(sched_getaffinity(0, sizeof cores, &cores), 0);
    const struct conf_event *e = &conf.events[0];
    assert_int_equal(conf.node, 1);
    assert_int_equal(conf.node_count, 1);
    assert_int_equal(conf.nodes[0], 1);
    assert_int_equal(conf.workers, CPU_COUNT(&cores));
    assert_int_equal(conf.connections, 10000);
    assert_int_equal(conf.journal_size, 256u << 20);
    assert_int_equal(conf.redis.len, 0);
    assert_int_equal(conf.admin.len, 0);
    assert_string_equal(conf.admin_token, "");
    assert_int_equal(conf.advertise.len, 0);
    assert_string_equal(conf.stat_log, "");
    assert_int_equal(conf.header_timeout_ms, 10000);
    assert_int_equal(conf.idle_timeout_ms, 90000);
    assert_int_equal(conf.answer_timeout_ms, 1000);
    assert_int_equal(conf.redis_timeout_ms, 500);
    assert_int_equal(conf.node_timeout_ms, 3000);
    assert_int_equal(conf.max_header, 8192);
    assert_int_equal(conf.max_body, 4096);
    assert_true(conf.buy_with_get);
    assert_int_equal(conf.log_level, LOG_INFO);
    assert_int_equal(conf.event_count, 1);
    assert_string_equal(e->name, "ticket");
    assert_int_equal(e->total, 100);
    assert_int_equal(e->stock_max, 200);
    assert_int_equal(e->local_stock, CONF_NO_CAP);
    assert_int_equal(e->limit, 0);
    assert_int_equal(e->max_order, 4);
    assert_int_equal(e->hold_ms, 0);
    assert_int_equal(e->open_wall_ms, 0);
}

static void every_setting_can_be_set(void **state)
{
    (void)state;
    must_load("node 7; nodes 9 7 8;\nlisten 127.0.0.1:1;listen [::1]:2;listen unix:s;\n"
              "admin 127.0.0.1:0; workers 3; connections 5; redis unix:/r.sock;\n"
              "journal /j { size 1m; }\n"
              "header-timeout 11ms; idle-timeout 2m; answer-timeout 12ms; redis-timeout 13ms;\n"
              "node-timeout 4s; max-header 1k; max-body 0; buy-with-get no; log-level debug;\n"
              "admin-token t; advertise unix:/a.sock; stat-log l;\n"
              "event a-_1 { total 1k; stock-max 3k; local-stock 0; hold 0; limit 0; max-order 1;\n"
              "open 1970-01-01T00:00:01Z; }\nevent b { total 2; }");
    assert_int_equal(conf.node, 7);
    assert_int_equal(conf.node_count, 3);
    for (uint16_t i = 0; i < 3; i++)
        assert_int_equal(conf.nodes[i], 7 + i); /* in rising order */
    assert_int_equal(conf.listen_count, 3);
    assert_int_equal(conf.listen[1].to.v6.sin6_port, htons(2));
    assert_string_equal(conf.listen[2].to.local.sun_path, path_of("s"));
    assert_string_equal(conf.listen[2].text, "unix:s");
    assert_string_equal(conf.redis.to.local.sun_path, "/r.sock");
    assert_string_equal(conf.admin_token, path_of("t"));
    assert_string_equal(conf.advertise.to.local.sun_path, "/a.sock");
    assert_string_equal(conf.stat_log, path_of("l"));
    assert_string_equal(conf.journal, "/j");
    assert_int_equal(conf.journal_size, 1 << 20);
    assert_int_equal(conf.workers, 3);
    assert_int_equal(conf.idle_timeout_ms, 120000);
    assert_int_equal(conf.max_body, 0);
    assert_false(conf.buy_with_get);
    assert_int_equal(conf.log_level, LOG_DEBUG);
    assert_int_equal(conf.event_count, 2);
    assert_string_equal(conf.events[0].name, "a-_1");
    assert_int_equal(conf.events[0].total, 1024);
    assert_int_equal(conf.events[0].stock_max, 3072);
    assert_int_equal(conf.events[0].local_stock, 0);
    assert_int_equal(conf.events[0].open_wall_ms, 1000);
    assert_int_equal(conf.events[1].total, 2);
}

static void blanks_comments_and_quotes(void **state)
{
    (void)state;
    must_load("# c { ; \"\r\n\tnode\r\n1 # behind\r\n;listen \"127.0.0.1:3005\";# close by\r\n"
              "journal \"/a b;{}#\";event ticket{total 1;}\r\n#no newline");
    assert_string_equal(conf.journal, "/a b;{}#");
    must_load("node 1; listen 127.0.0.1:0; listen 127.0.0.1:0; journal a#b; " SALE);
    assert_string_equal(conf.journal, path_of("a#b"));
    assert_int_equal(conf.listen_count, 2); /* port 0 is another one each time */
    must_refuse(BASE "\njournal \"a;\n" SALE, 2, "not closed");
    must_refuse(BASE "\nredis \"a\r\n;\"\n" SALE, 2, "not closed");
    must_refuse(BASE "\nredis \"a\"b;", 2, "closing quote");
    must_refuse(BASE "\nredis a\"b;", 2, "inside of a word");
    must_refuse(BASE "\nredis \"\";", 2, "empty value");
    must_refuse(BASE "\nredis a\x01;", 2, "0x01");
}

static void structure(void **state)
{
    (void)state;
    must_refuse("", 1, "'node' is required");
    must_refuse("node 1;\n\n\n", 3, "'listen' is required");
    must_refuse("node 1; listen 127.0.0.1:1;\n", 1, "'journal' is required");
    must_refuse(BASE "\n# end", 2, "'event' is required");
    must_refuse(BASE "event e {\n\n}\n", 3, "event: 'total' is required");
    must_refuse("node 1\n" SALE, 1, "';' is missing after '1'");
    must_refuse("node 1\nlisen 127.0.0.1:1;", 1, "';' missing after '1'");
    must_refuse("\nnode 1", 2, "';' is missing");
    must_refuse("\nnode 1 2;\n", 2, "one value, not 2");
    must_refuse("nodes 1\n2\ninclude x;", 2, "';' is missing after '2'");
    must_refuse(BASE "event e {\ntotal 1 }", 2, "';' is missing after '1'");
    must_refuse(BASE "\nevent e {\ntotal 1;\n", 3, "opened at line 2 is not closed");
    must_refuse(BASE "\nevent e {\ntotal 1;\nworkers 2;", 4, "is a '}' missing?");
    must_refuse(BASE SALE "\n}", 2, "closes nothing");
    must_refuse("\n;", 2, "nothing before it");
    must_refuse("{", 1, "nothing before it");
    must_refuse("node { }", 1, "value is missing");
    must_refuse("node 1 { }", 1, "has no block");
    must_refuse(BASE "event e;", 1, "needs a block");
    must_refuse("node;", 1, "value is missing");
    must_refuse("total 1;", 1, "belongs in the block of event");
    must_refuse("node 1;\n\nnode 2;", 3, "set twice");
    must_refuse(BASE "event e { total 1;\n total 1; }", 2, "set twice");
    must_refuse(BASE SALE "\n" SALE, 2, "is listed twice");
    must_refuse(BASE "event E { total 1; }", 1, "a-z");
    must_refuse(BASE "event a23456789012345678901234567890123 { total 1; }", 1, "1 to 32");
}

static void did_you_mean(void **state)
{
    (void)state;
    must_refuse("lisen 127.0.0.1:1;", 1, "unknown setting 'lisen' (did you mean 'listen'?)");
    must_refuse("\nreddis x;", 2, "did you mean 'redis'?");
    must_refuse("includ x;", 1, "did you mean 'include'?");
    must_refuse("idle_timeout 1s;", 1, "did you mean 'idle-timeout'?");
    must_refuse(BASE "event e { totl 1; }", 1, "did you mean 'total'?");
    must_refuse("frobnicate 1;", 1, "unknown setting 'frobnicate'");
    assert_null(strstr(why.text, "did you mean"));
}

/* An admin listener that can be reached from outside needs a token. */
static void admin_from_outside(void **state)
{
    (void)state;
    must_refuse_top("admin 0.0.0.0:3905;", "admin-token");
    must_refuse_top("admin [::]:3905;", "admin-token");
    must_refuse_top("admin [::ffff:10.0.0.1]:3905;", "admin-token");
    must_refuse_top("admin 10.0.0.1:0;", "admin-token");
    must_load(BASE SALE "admin 0.0.0.0:3905; admin-token t;");
    must_load(BASE SALE "admin 127.8.9.1:3905;");
    must_load(BASE SALE "admin [::1]:3905;");
    must_load(BASE SALE "admin unix:a;");
}

/* The published address must be one word that is valid on other hosts. */
static void what_is_advertised_can_be_found(void **state)
{
    (void)state;
    must_refuse_top("advertise 10.0.0.5:3905;", "no admin listener");
    must_refuse_top("admin unix:a; advertise \"unix:/a b\";", "without blanks");
    must_refuse_top("admin unix:a; advertise 10.0.0.5:0;", "port 0");
    must_load(BASE SALE "admin 127.0.0.1:0; advertise [::1]:3905;");
    must_load(BASE SALE "admin unix:a; advertise unix:a;");
    assert_string_equal(conf.advertise.to.local.sun_path, path_of("a"));
}

static void ranges(void **state)
{
    (void)state;
    must_refuse_top("connections 10k5;", "connections: '10k5' is not a number");
    must_refuse_top("connections 0;", "connections: 0 is out of range: 1 to 1000000");
    must_refuse_top("max-header 65k;", "out of range: 256 to 64k");
    must_refuse_top("idle-timeout 0;", "out of range: 10ms to 60m");
    must_refuse_top("idle-timeout 5;", "no unit");
    must_refuse_top("buy-with-get maybe;", "is none of no, yes");
    must_refuse_top("log-level trace;", "is none of error, warn, info, debug");
    must_refuse_event("max-order 0;", "out of range");
    must_refuse_event("open 2026-02-30T00:00:00Z;", "on no calendar");
    must_refuse_event("stock-max 99;", "stock-max 99 is less than total 100");
    must_refuse(BASE "event e { total 100000001; }", 1, "out of range");
    must_refuse("node 1;\nworkers\n\n65;", 4, "out of range: 1 to 64"); /* the value's line */
    must_load(BASE "event e { total 100000000; }");
    assert_int_equal(conf.events[0].total, TICKETS_MAX);
    assert_int_equal(conf.events[0].stock_max, TICKETS_MAX); /* twice would be too many */
}

static void holds_and_limits(void **state)
{
    (void)state;
    must_load(BASE "event e { total 1; hold 5m; limit 2; }");
    assert_int_equal(conf.events[0].hold_ms, 300000);
    assert_int_equal(conf.events[0].limit, 2);
    must_load(BASE "event e { total 1; hold 0s; limit 0; }");
    assert_int_equal(conf.events[0].hold_ms, 0);
    must_refuse_event("hold 43201m;", "out of range");
    must_refuse_event("limit 100000001;", "out of range");
}

static void addresses(void **state)
{
    (void)state;
    must_refuse_top("listen localhost:3005;", "is not an address");
    must_refuse_top("redis 127.0.0.1:0;", "port 0");
    must_refuse_top("listen 127.0.0.1:3005;", "is listed twice");
    must_refuse_top("admin 127.0.0.1:3005;", "listen address as well");
    must_refuse_top("listen 127.0.0.1:1; listen 127.0.0.1:2; listen 127.0.0.1:3;"
                    "listen 127.0.0.1:4; listen 127.0.0.1:5; listen 127.0.0.1:6;"
                    "listen 127.0.0.1:7; listen 127.0.0.1:8;",
                    "8 addresses at most");
}

static void nodes(void **state)
{
    (void)state;
    must_refuse_top("nodes 2 3;", "this node, 1, is not among them");
    must_refuse_top("nodes 1 2 1;", "node 1 is listed twice");
    must_refuse_top("nodes 0 1;", "out of range");
    must_refuse_top("nodes 1 65536;", "out of range");
    must_refuse_top("nodes 1 1k;", "not a node");
    must_refuse("node 65536;", 1, "out of range: 1 to 65535");
    char text[4096] = BASE SALE "nodes";
    for (int i = 1; i <= NODES_MAX + 1; i++) {
        must_load(BASE SALE);
        snprintf(text + strlen(text), sizeof text - strlen(text), " %d", i);
        if (i < NODES_MAX)
            continue;
        char whole[4200];
        snprintf(whole, sizeof whole, "%s;", text);
        if (i == NODES_MAX)
            must_load(whole);
        else
            must_refuse(whole, 1, "256 at most");
    }
}

static void events_have_a_limit(void **state)
{
    (void)state;
    char text[2048] = BASE "\n";
    for (int i = 0; i <= EVENTS_MAX; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "event e%d { total 1; }\n", i);
        if (i < EVENTS_MAX)
            must_load(text);
    }
    must_refuse(text, 2 + EVENTS_MAX, "16 events at most");
}

static void includes(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    write_file("sub/b.conf", "journal j;\nredis unix:r;\ninclude c.conf;");
    write_file("sub/c.conf", "event e { include total.conf; }\n");
    write_file("sub/total.conf", "total 5;");
    must_load("node 1; include sub/b.conf; listen 127.0.0.1:1;");
    assert_string_equal(conf.journal, path_of("sub/j")); /* from the naming file's folder */
    assert_string_equal(conf.redis.to.local.sun_path, path_of("sub/r"));
    assert_int_equal(conf.events[0].total, 5);

    must_refuse("node 1;\ninclude sub/none;\n", 2, "No such file");
    must_refuse("include sub;", 1, "is a directory");
    must_refuse("include /dev/null;", 1, "is not a file");
    must_refuse("node 1;\ninclude\n a.conf;", 3, "loop");
    must_refuse("include x {", 1, "has no block");
    must_refuse("include a b;", 1, "one value");
    write_file("sub/b.conf", "\ninclude ../a.conf;");
    write_file("a.conf", "include sub/b.conf;");
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    must_point("sub/b.conf", 2, "loop");
    write_file("sub/b.conf", "\n\nfoo 1;");
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    must_point("sub/b.conf", 3, "unknown setting");
    write_file("sub/b.conf", "event e {");
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    must_point("sub/b.conf", 1, "is not closed");
    write_file("sub/b.conf", "\nnode 2;");
    write_file("a.conf", "\n\nnode 1; include sub/b.conf;");
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    must_point("sub/b.conf", 2, "a.conf:3");
}

/* Without a count, nested includes that each include many files would be read for ever. */
static void includes_have_limits(void **state)
{
    (void)state;
    char name[16], text[128];
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "deep%d", i);
        snprintf(text, sizeof text, "include deep%d;", i + 1);
        write_file(name, text);
    }
    write_file("a.conf", "include deep0;");
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    must_point("deep6", 1, "more than 8 files deep");
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "wide%d", i);
        snprintf(text, sizeof text, "include wide%d;include wide%d;include wide%d;", i + 1, i + 1,
                 i + 1);
        write_file(name, i < 5 ? text : "# nothing");
    }
    write_file("a.conf", "include wide0;");
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    assert_non_null(strstr(why.text, "one file too many"));
}

static void files_that_are_not_regular(void **state)
{
    (void)state;
    assert_false(conf_load(&conf, path_of("missing"), &why));
    must_point("missing", 1, "No such file");
    assert_int_equal(mkdir(path_of("folder"), 0700), 0);
    assert_false(conf_load(&conf, path_of("folder"), &why));
    must_point("folder", 1, "is a directory");
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_false(conf_load(&conf, path_of("fifo"), &why)); /* and does not wait for a writer */
    must_point("fifo", 1, "is not a file");
    assert_false(conf_load(&conf, "/dev/zero", &why));
    assert_false(conf_load(&conf, "", &why));
    assert_int_equal(symlink("loop", path_of("loop")), 0);
    assert_false(conf_load(&conf, path_of("loop"), &why));
    must_point("loop", 1, "cannot be read");
    write_file("secret", BASE SALE);
    assert_int_equal(chmod(path_of("secret"), 0), 0);
    if (access(path_of("secret"), R_OK) != 0) { /* root reads everything */
        assert_false(conf_load(&conf, path_of("secret"), &why));
        must_point("secret", 1, "Permission denied");
    }
}

static void bytes_that_are_no_text(void **state)
{
    (void)state;
    static char big[400 * 1024];
    write_bytes("a.conf", "node 1;\nlis\0ten x;", 18);
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    must_point("a.conf", 2, "0x00");
    write_bytes("a.conf", "node 1;\n# \0\n", 12);
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    must_point("a.conf", 2, "0x00");
    memset(big, 'x', sizeof big);
    write_bytes("a.conf", big, sizeof big);
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    must_point("a.conf", 1, "longer than 262144 bytes");
    write_bytes("a.conf", big, 2000);
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    must_point("a.conf", 1, "longer than 1023 bytes");
    write_bytes("a.conf", big, 1023);
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    must_point("a.conf", 1, "';' is missing");
    for (size_t i = 0; i < sizeof big; i += 2)
        big[i] = ' ';
    write_bytes("a.conf", big, 256 * 1024);
    assert_false(conf_load(&conf, path_of("a.conf"), &why));
    must_point("a.conf", 1, "too many words");
    memset(big, ' ', sizeof big); /* a very long line */
    memcpy(big + 200000, BASE SALE, sizeof(BASE SALE) - 1);
    write_bytes("a.conf", big, 256 * 1024);
    assert_true(conf_load(&conf, path_of("a.conf"), &why));
}

/* A file cut anywhere: never a crash, and an error with its line, unless it is a complete file. */
static void every_truncation(void **state)
{
    (void)state;
    static const char text[] =
        "node 1; nodes 1 2;\nlisten \"127.0.0.1:1\";\njournal j {\nsize 1m;\n}\n"
        "event ticket {\n total 1; # c\n open 2026-12-01T10:00:00Z;\n}\n";
    for (size_t len = 0; len < sizeof text - 3; len++) {
        write_bytes("a.conf", text, len);
        if (conf_load(&conf, path_of("a.conf"), &why))
            fail_msg("accepted: the first %zu bytes", len);
        char location[300];
        snprintf(location, sizeof location, "%s:", path_of("a.conf"));
        assert_ptr_equal(strstr(why.text, location), why.text);
        assert_in_range(why.text[strlen(location)], '1', '9');
    }
    must_load(text);
}

/* The defaults of the table are in its ranges, its names are unique. */
static void the_table_is_sound(void **state)
{
    (void)state;
    struct conf_event e;
    settings_default(BLOCK_TOP, &conf); /* asserts */
    settings_default(BLOCK_JOURNAL, &conf);
    settings_default(BLOCK_EVENT, &e);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &settings[i];
        assert_ptr_equal(setting_find(s->block, s->name), s);
        assert_ptr_equal(setting_find_anywhere(s->name), s);
        assert_true((s->given == GIVEN_REQUIRED) == (s->standard[0] == '\0'));
    }
    uint64_t max;
    assert_true(value_number(settings[SET_total].max, "0", "1024g", &max, &why));
    assert_int_equal(max, TICKETS_MAX);
    assert_true(value_number(settings[SET_node].max, "0", "1024g", &max, &why));
    assert_int_equal(max, NODE_MAX);
    assert_true(value_number(settings[SET_workers].max, "0", "1024g", &max, &why));
    assert_int_equal(max, WORKERS_MAX);
}

/* What -t prints is an equivalent file: reading it again gives the same struct. */
static void what_is_printed_can_be_read(void **state)
{
    (void)state;
    static struct conf before;
    must_load("node 3; nodes 4 3; listen [::1]:1; listen \"unix:x y\"; redis 127.0.0.1:1;"
              "admin 0.0.0.0:0; admin-token t; advertise unix:/a; stat-log \"l l\"; journal \"j "
              "{\" { size 1m; } max-header 1000;"
              "buy-with-get no; log-level warn; answer-timeout 1500ms;"
              "event a { total 3; local-stock 2; open 2026-12-01T10:00:00.25+08:00; }"
              "event b { total 1; stock-max 1; }");
    before = conf;
    fflush(stdout);
    int out = dup(STDOUT_FILENO);
    assert_non_null(freopen(path_of("printed"), "we", stdout));
    conf_print(&conf);
    fflush(stdout);
    assert_int_equal(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
    close(out);
    assert_true(conf_load(&conf, path_of("printed"), &why));
    memcpy(conf.listen[1].text, before.listen[1].text, sizeof conf.listen[1].text); /* as written */
    assert_memory_equal(&conf, &before, sizeof conf);
}

/* The shipped configurations are valid. */
static void the_shipped_files_load(void **state)
{
    (void)state;
    if (!conf_load(&conf, "conf/spike.conf", &why))
        fail_msg("%s", why.text);
    assert_int_equal(conf.events[0].total, 10000);
    if (!conf_load(&conf, "conf/standalone.conf", &why))
        fail_msg("%s", why.text);
    assert_int_equal(conf.redis.len, 0);
    assert_string_equal(conf.journal, "conf/spike-journal");
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int remove_dir(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shortest_file_has_all_defaults),
        cmocka_unit_test(every_setting_can_be_set),
        cmocka_unit_test(blanks_comments_and_quotes),
        cmocka_unit_test(structure),
        cmocka_unit_test(did_you_mean),
        cmocka_unit_test(admin_from_outside),
        cmocka_unit_test(what_is_advertised_can_be_found),
        cmocka_unit_test(nodes),
        cmocka_unit_test(ranges),
        cmocka_unit_test(holds_and_limits),
        cmocka_unit_test(addresses),
        cmocka_unit_test(events_have_a_limit),
        cmocka_unit_test(includes),
        cmocka_unit_test(includes_have_limits),
        cmocka_unit_test(files_that_are_not_regular),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(what_is_printed_can_be_read),
        cmocka_unit_test(the_shipped_files_load),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
