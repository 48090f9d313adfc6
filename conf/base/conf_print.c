/*
 * conf_print: prints the settings in effect as a file that can be read again: what was written,
 * what was computed, and the defaults. For `-t`; standard output is the only effect.
 *
 * Owner: main.
 */
#include <stdio.h>
#include <string.h>

#include "conf/base/conf_settings.h"
#include "conf/base/conf_value.h"

/* A word that the parser would not read as one is put in quotes. */
static void print_word(const char *word)
{
    bool bare = word[0] != '\0' && word[0] != '#' && strpbrk(word, " \t;{}") == NULL;
    printf(bare ? " %s" : " \"%s\"", word);
}

static void print_block(enum conf_block block, const struct conf *conf, const void *base);

static void print_line(const struct setting *s, const char *word)
{
    printf("%s%s", s->block == BLOCK_TOP ? "" : "    ", s->name);
    print_word(word);
    printf(";\n");
}

static void print_addr(const struct setting *s, const struct conf_addr *a)
{
    char path[sizeof a->to.local.sun_path + sizeof "unix:"];
    if (a->len == 0)
        return;
    ASSERT(s->kind == KIND_ADDR || s->kind == KIND_PEER || s->kind == KIND_LISTEN);
    snprintf(path, sizeof path, "unix:%s", a->to.local.sun_path);
    print_line(s, a->to.any.sa_family == AF_UNIX ? path : a->text);
}

static void print_nodes(const struct conf *conf)
{
    printf("nodes");
    for (uint32_t i = 0; i < conf->node_count; i++)
        printf(" %u", conf->nodes[i]);
    printf(";\n");
}

static void print_journal(const struct setting *s, const struct conf *conf)
{
    printf("%s", s->name);
    print_word(conf->journal);
    printf(" {\n");
    print_block(BLOCK_JOURNAL, conf, conf);
    printf("}\n");
}

static void print_events(const struct setting *s, const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->event_count; i++) {
        printf("%s %s {\n", s->name, conf->events[i].name);
        print_block(BLOCK_EVENT, conf, &conf->events[i]);
        printf("}\n");
    }
}

/* The text of a single value. False: it is not set. */
static bool print_value(char out[VALUE_TEXT], const struct setting *s, const void *member)
{
    uint64_t wide = 0;
    uint32_t number;
    uint16_t node;
    int level;
    switch (s->kind) {
    case KIND_NODE:
        memcpy(&node, member, sizeof node);
        snprintf(out, VALUE_TEXT, "%u", node);
        return true;
    case KIND_NUMBER:
        memcpy(&number, member, sizeof number);
        snprintf(out, VALUE_TEXT, "%u", number);
        return number != CONF_NO_CAP;
    case KIND_BYTES:
        memcpy(&number, member, sizeof number);
        value_print_number(out, number);
        return true;
    case KIND_YES_NO:
        snprintf(out, VALUE_TEXT, "%s", *(const bool *)member ? "yes" : "no");
        return true;
    case KIND_LEVEL:
        memcpy(&level, member, sizeof level);
        ASSERT(level >= 0 && level < LEVEL_COUNT);
        snprintf(out, VALUE_TEXT, "%s", level_names[level]);
        return true;
    default:
        memcpy(&wide, member, sizeof wide);
    }
    ASSERT(s->kind == KIND_SIZE || s->kind == KIND_TIME || s->kind == KIND_MOMENT);
    if (s->kind == KIND_SIZE)
        value_print_number(out, wide);
    else if (s->kind == KIND_TIME)
        value_print_time(out, wide);
    else
        value_print_moment(out, wide);
    return s->kind != KIND_MOMENT || wide != 0;
}

static void print_setting(const struct setting *s, const struct conf *conf, const void *base)
{
    const void *member = (const char *)base + s->offset;
    char text[VALUE_TEXT];
    switch (s->kind) {
    case KIND_NODES:
        print_nodes(conf);
        break;
    case KIND_LISTEN:
        for (uint32_t i = 0; i < conf->listen_count; i++)
            print_addr(s, &conf->listen[i]);
        break;
    case KIND_ADDR:
    case KIND_PEER:
        print_addr(s, member);
        break;
    case KIND_FILE:
        if (*(const char *)member != '\0')
            print_line(s, member);
        break;
    case KIND_JOURNAL:
        print_journal(s, conf);
        break;
    case KIND_EVENT:
        print_events(s, conf);
        break;
    default:
        if (print_value(text, s, member))
            print_line(s, text);
    }
}

static void print_block(enum conf_block block, const struct conf *conf, const void *base)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (settings[i].block == block)
            print_setting(&settings[i], conf, base);
}

void conf_print(const struct conf *conf)
{
    ASSERT_MAIN();
    print_block(BLOCK_TOP, conf, conf);
}
