/*
 * source: the journals that spike-log reads.
 *
 * Order: the configuration; is a server at work on the journal? If none is, the file is checked
 * page by page, for a damaged one can kill LMDB, and for an audit all that the server verifies is
 * verified, by the same code: what the server refuses is never audited. Export, tail and stat do
 * with the pages, so that the records of a journal whose index is damaged can still be had. Beside
 * a server no file can be checked (pages change while one looks), but that server has verified it
 * when it started; what an audit reads it holds against the index, each time in one snapshot of
 * LMDB. Then LMDB opens it for reading. A reader that dies all the same (a disk that gives SIGBUS)
 * is caught by the guard, which names the journal.
 *
 * Whether a server is at work is read from /proc/locks: trying the lock would, for a moment, hold
 * it, and a server that starts just then would be turned away.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/journal/journal_dir.h"
#include "storage/journal/pages.h"
#include "storage/log/inside.h"

#define CHUNK     256 /* records read in one transaction */
#define PATH_FULL (PATH_TEXT_MAX + 16)

/* The journal being read, for the guard; NULL between reads. */
static const char *volatile reading;

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text)); /* there is nobody else to tell */
    (void)ignored;
}

static void reader_died(int signal_number)
{
    const char *dir = reading;
    if (dir == NULL) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return;
    }
    say("spike-log: journal ");
    say(dir);
    say(": reading it died: the file is damaged or the disk cannot read it" JOURNAL_ADVICE "\n");
    _exit(EXIT_TROUBLE);
}

void source_guard(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT};
    const struct sigaction act = {.sa_handler = reader_died, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        sigaction(signals[i], &act, NULL);
}

/* Is somebody's flock on the file? False too when that cannot be known. */
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
    s->running = has_server(dir);
    if (s->running || is_sound(s, deep, f))
        return true;
    s->running = has_server(dir); /* one that has started meanwhile moves pages */
    if (!s->running && content == JOURNAL_DIR_UNFINISHED)
        return fault(f, "journal %s: there is no journal yet", dir);
    return s->running;
}

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
    if (!conf_load(&s->conf, path, f) || !identify(s, all, f))
        return false;
    reading = s->conf.journal;
    bool good =
        check_file(s, deep, f) && (s->journal = journal_open_reader(s->conf.journal, f)) != NULL;
    reading = NULL;
    return good;
}

bool sources_open(struct sources *all, char *const *paths, uint32_t count, bool deep,
                  struct fault *f)
{
    *all = (struct sources){.at = calloc(count, sizeof *all->at)};
    if (all->at == NULL)
        return fault(f, "no memory for %u journals", count);
    for (; all->count < count; all->count++)
        if (!source_open(&all->at[all->count], all, paths[all->count], deep, f)) {
            sources_close(all);
            return false;
        }
    return true;
}

void sources_close(struct sources *all)
{
    for (uint32_t i = 0; i < all->count; i++)
        journal_close(all->at[i].journal);
    free(all->at);
    *all = (struct sources){0};
}

int source_fetch(const struct source *s, uint32_t event, uint64_t from, struct record *out,
                 uint32_t max, struct fault *f)
{
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
    while (from <= to) {
        uint64_t left = to - from + 1;
        int count = source_fetch(s, event, from, chunk, left < CHUNK ? (uint32_t)left : CHUNK, f);
        if (count < 0)
            return false;
        if (count == 0)
            return fault(f, "journal %s: event %s ends before record %llu, and it was longer",
                         s->conf.journal, journal_event_name(s->journal, event),
                         (unsigned long long)from);
        for (int i = 0; i < count; i++)
            if (!visit(context, &chunk[i]))
                return true;
        from += (uint64_t)count;
    }
    return true;
}

static bool leads_to(const struct record *r, const struct record *grant, const struct record *last)
{
    return last->seq >= r->seq && grant->seq <= r->seq &&
           (r->kind == RECORD_GRANT) == (grant->seq == r->seq);
}

bool source_index(const struct source *s, uint32_t event, const struct record *r, struct fault *f)
{
    struct record grant, last;
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

int source_event(const struct source *s, const char *event)
{
    for (uint32_t i = 0; i < journal_event_count(s->journal); i++)
        if (strcmp(journal_event_name(s->journal, i), event) == 0)
            return (int)i;
    return -1;
}
