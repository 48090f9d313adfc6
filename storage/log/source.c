/*
 * Opening a journal: first its configuration, then whether a server has it open. If no server has,
 * the file is checked page by page, because a damaged one can crash LMDB; and for an audit
 * everything that the server verifies is verified, by the same code: what the server refuses is
 * never audited. Export, tail and stat check the pages alone, so that the records of a journal
 * whose index is damaged can still be read. Beside a server the file cannot be checked (pages
 * change meanwhile), but that server has verified it when it started; what an audit reads it
 * compares with the index, each time in one snapshot of LMDB. Then LMDB opens the file for reading.
 * A reader that is killed all the same (by SIGBUS, if the disk fails) is caught by the guard, which
 * names the journal.
 *
 * Whether a server has the journal open is read from /proc/locks: trying the lock would hold it for
 * a moment, and a server that starts in that moment would refuse to.
 */
#include "storage/log/source.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/journal/journal_dir.h"
#include "storage/journal/pages.h"
#include "storage/journal/verify.h"
#include "storage/log/commands.h"

#define CHUNK     256 /* records read in one transaction */
#define PATH_FULL (PATH_TEXT_MAX + 16)

struct source {
    struct conf conf;
    struct journal *journal;
    bool is_running;          /* a server had it open when it was opened */
    struct leftover leftover; /* no server had: what the next one will find */
    dev_t device;             /* of the folder, with its inode: no journal is read twice */
    ino_t inode;
};

struct sources {
    struct source *at;
    uint32_t count;
};

/* The journal being read, for the guard; NULL between reads. */
static const char *volatile reading;

/* Safe in a signal handler. */
static void print_error(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text)); /* nothing is left to try */
    (void)ignored;
}

static void on_fatal_signal(int signal_number)
{
    const char *dir = reading;
    if (dir == NULL) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return;
    }
    print_error("spike-log: journal ");
    print_error(dir);
    print_error(": reading it died: the file is damaged or the disk cannot read it" JOURNAL_ADVICE
                "\n");
    _exit(EXIT_TROUBLE);
}

void source_guard(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT};
    const struct sigaction act = {.sa_handler = on_fatal_signal, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        sigaction(signals[i], &act, NULL);
}

/* Does a process hold a flock on the file? False also if that cannot be known. */
static bool is_locked(const char *path)
{
    char line[256];
    unsigned long inode;
    bool found = false;
    struct stat st;
    FILE *locks = fopen("/proc/locks", "re");
    if (locks == NULL || stat(path, &st) != 0) {
        if (locks != NULL)
            fclose(locks);
        return false;
    }
    while (!found && fgets(line, sizeof line, locks) != NULL)
        found = strstr(line, " FLOCK ") != NULL &&
                sscanf(line, "%*s %*s %*s %*s %*s %*x:%*x:%lu", &inode) == 1 && inode == st.st_ino;
    fclose(locks);
    return found;
}

static bool has_server(const char *dir)
{
    char path[PATH_FULL];
    snprintf(path, sizeof path, "%s/lock", dir);
    return is_locked(path);
}

static bool is_sound(struct source *s, bool deep, struct fault *f)
{
    char path[PATH_FULL];
    struct fault why;
    if (deep)
        return journal_verify(s->conf.journal, &s->leftover, f);
    snprintf(path, sizeof path, "%s/" JOURNAL_DIR_DATA, s->conf.journal);
    return pages_check(path, &why) || fault(f, "journal %s" JOURNAL_ADVICE, why.text);
}

static bool check_file(struct source *s, bool deep, struct fault *f)
{
    const char *dir = s->conf.journal;
    enum journal_dir_content content = journal_dir_inspect(dir);
    if (content == JOURNAL_DIR_BLANK)
        return fault(f, "journal %s: there is no journal yet", dir);
    if (content == JOURNAL_DIR_LOST)
        return fault(f, "journal %s: %s is empty or gone, and it held a journal" JOURNAL_ADVICE,
                     dir, JOURNAL_DIR_DATA);
    s->is_running = has_server(dir);
    if (s->is_running || is_sound(s, deep, f))
        return true;
    s->is_running = has_server(dir); /* a server that has started meanwhile moves pages */
    if (!s->is_running && content == JOURNAL_DIR_UNFINISHED)
        return fault(f, "journal %s: there is no journal yet", dir);
    return s->is_running;
}

/* False: the journal was named before. */
static bool identify(struct source *s, const struct sources *all, struct fault *f)
{
    struct stat st;
    if (stat(s->conf.journal, &st) != 0)
        return fault(f, "journal %s: %s", s->conf.journal, strerror(errno));
    s->device = st.st_dev;
    s->inode = st.st_ino;
    for (const struct source *other = all->at; other < s; other++)
        if (other->device == s->device && other->inode == s->inode)
            return fault(f, "journal %s: was named before; name each one once", s->conf.journal);
    return true;
}

static bool source_open(struct source *s, const struct sources *all, const char *path, bool deep,
                        struct fault *f)
{
    ASSERT(s == &all->at[all->count] && reading == NULL);
    if (!conf_load(&s->conf, path, f) || !identify(s, all, f))
        return false;
    reading = s->conf.journal;
    bool good =
        check_file(s, deep, f) && (s->journal = journal_open_reader(s->conf.journal, f)) != NULL;
    reading = NULL;
    return good;
}

struct sources *sources_open(char *const *paths, uint32_t count, bool deep, struct fault *f)
{
    ASSERT(count > 0);
    struct sources *all = calloc(1, sizeof *all);
    if (all != NULL)
        all->at = calloc(count, sizeof *all->at);
    if (all == NULL || all->at == NULL) {
        fault_set(f, "no memory for %u journals", count);
        free(all);
        return NULL;
    }
    for (; all->count < count; all->count++)
        if (!source_open(&all->at[all->count], all, paths[all->count], deep, f)) {
            sources_close(all);
            return NULL;
        }
    return all;
}

void sources_close(struct sources *all)
{
    for (uint32_t i = 0; i < all->count; i++)
        journal_close(all->at[i].journal);
    free(all->at);
    free(all);
}

/* ---- what a journal is ---------------------------------------------------------------------- */

uint32_t sources_count(const struct sources *all)
{
    return all->count;
}

const struct source *sources_at(const struct sources *all, uint32_t i)
{
    ASSERT(i < all->count);
    return &all->at[i];
}

const struct conf *source_conf(const struct source *s)
{
    return &s->conf;
}

const char *source_path(const struct source *s)
{
    return s->conf.journal;
}

uint16_t source_node(const struct source *s)
{
    return journal_node(s->journal);
}

bool source_is_running(const struct source *s)
{
    return s->is_running;
}

uint64_t source_leftover(const struct source *s)
{
    return s->leftover.records;
}

uint64_t source_used_bytes(const struct source *s)
{
    return journal_used_bytes(s->journal);
}

uint64_t source_size_bytes(const struct source *s)
{
    return journal_size_bytes(s->journal);
}

uint32_t source_event_count(const struct source *s)
{
    return journal_event_count(s->journal);
}

const char *source_event_name(const struct source *s, uint32_t event)
{
    ASSERT(event < source_event_count(s));
    return journal_event_name(s->journal, event);
}

uint8_t source_slot(const struct source *s, uint32_t event)
{
    ASSERT(event < source_event_count(s));
    return journal_slot(s->journal, event);
}

int source_find_event(const struct source *s, const char *name)
{
    for (uint32_t i = 0; i < source_event_count(s); i++)
        if (strcmp(source_event_name(s, i), name) == 0)
            return (int)i;
    return -1;
}

/* ---- reading -------------------------------------------------------------------------------- */

int source_fetch(const struct source *s, uint32_t event, uint64_t from, struct record *out,
                 uint32_t max, struct fault *f)
{
    ASSERT(from >= 1 && max > 0 && reading == NULL);
    reading = s->conf.journal;
    int count = journal_read(s->journal, event, from, out, max, f);
    reading = NULL;
    return count;
}

bool source_end(const struct source *s, uint32_t event, uint64_t *end, struct fault *f)
{
    struct record none;
    if (source_fetch(s, event, journal_committed(s->journal, event) + 1, &none, 1, f) < 0)
        return false;
    *end = journal_committed(s->journal, event);
    return true;
}

bool source_walk(const struct source *s, uint32_t event, uint64_t from, uint64_t to,
                 source_visit *visit, void *context, struct fault *f)
{
    static struct record chunk[CHUNK];
    ASSERT(from >= 1 && visit != NULL);
    while (from <= to) {
        uint64_t rest = to - from + 1;
        int count = source_fetch(s, event, from, chunk, rest < CHUNK ? (uint32_t)rest : CHUNK, f);
        if (count < 0)
            return false;
        if (count == 0)
            return fault(f, "journal %s: event %s ends before record %llu, and it was longer",
                         s->conf.journal, journal_event_name(s->journal, event),
                         (unsigned long long)from);
        ASSERT((uint64_t)count <= rest);
        for (int i = 0; i < count; i++)
            if (!visit(context, &chunk[i]))
                return true;
        from += (uint64_t)count;
    }
    return true;
}

/* Can the index have these two records for the order of r? */
static bool leads_to(const struct record *r, const struct record *grant, const struct record *last)
{
    ASSERT(record_is_order(r));
    return last->seq >= r->seq && grant->seq <= r->seq &&
           (r->kind == RECORD_GRANT) == (grant->seq == r->seq);
}

bool source_check_index(const struct source *s, uint32_t event, const struct record *r,
                        struct fault *f)
{
    struct record grant, last;
    ASSERT(reading == NULL);
    if (!record_is_order(r))
        return true;
    reading = s->conf.journal;
    int found = journal_order(s->journal, event, record_order(r), &grant, &last, f);
    bool good = found > 0 && leads_to(r, &grant, &last);
    if (good && r->kind == RECORD_LATE) {
        found = journal_order(s->journal, event, r->number, &grant, &last, f);
        good = found == 0; /* no order has the number of a late payment */
    }
    reading = NULL;
    return good ||
           (found >= 0 &&
            fault(f, "journal %s: damaged: the index of event %s does not lead to record %llu",
                  s->conf.journal, journal_event_name(s->journal, event),
                  (unsigned long long)r->seq));
}
