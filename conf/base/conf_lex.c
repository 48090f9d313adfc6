/*
 * conf_lex: one pass over a buffer, one token for each call; nothing is copied. The file is read
 * whole before, so a file that changes meanwhile is not read half old and half new. No effect
 * outlives the process.
 *
 * Owner: main, through conf.c.
 */
#include "conf/base/conf_lex.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool ends_word(char c)
{
    return is_blank(c) || c == ';' || c == '{' || c == '}';
}

/* Only regular files: a FIFO would block, and opening a device may have an effect. */
static bool check_kind(const struct stat *st, struct fault *f)
{
    if (S_ISREG(st->st_mode))
        return true;
    return fault(f, "%s", S_ISDIR(st->st_mode) ? "is a directory, not a file" : "is not a file");
}

static bool read_all(int fd, char *buf, size_t *len, struct fault *f)
{
    *len = 0;
    while (*len <= SOURCE_BYTES_MAX) {
        ssize_t n = read(fd, buf + *len, SOURCE_BYTES_MAX + 1 - *len);
        if (n == 0)
            return true;
        if (n > 0)
            *len += (size_t)n;
        else if (errno != EINTR)
            return fault(f, "cannot be read: %s", strerror(errno));
    }
    return fault(f, "is longer than %d bytes", SOURCE_BYTES_MAX);
}

bool source_read(const char *path, char *buf, size_t *len, struct stat *id, struct fault *f)
{
    if (stat(path, id) != 0)
        return fault(f, "cannot be read: %s", strerror(errno));
    if (!check_kind(id, f))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fault(f, "cannot be read: %s", strerror(errno));
    bool good = fstat(fd, id) == 0 ? check_kind(id, f) : fault(f, "stat: %s", strerror(errno));
    good = good && read_all(fd, buf, len, f);
    close(fd);
    return good;
}

/* Afterwards s->at is at the end, or at a byte that is no blank and in no comment. */
static void skip_blanks(struct source *s)
{
    bool comment = false;
    for (; s->at < s->end; s->at++) {
        if (*s->at == '\n') {
            s->line++;
            comment = false;
        } else if (*s->at == '#') {
            comment = true;
        } else if (!comment && !is_blank(*s->at)) {
            return;
        } else if (*s->at == '\0') {
            return; /* also in a comment: a text file has no NUL */
        }
    }
}

static bool control_fault(const struct source *s, char c, struct fault *f)
{
    return fault(f, "%s:%d: a byte 0x%02x; is this a text file?", s->path, s->line,
                 (unsigned)(unsigned char)c);
}

static bool parse_quoted(struct source *s, struct token *t, struct fault *f)
{
    ASSERT(*s->at == '"');
    t->quoted = true;
    t->text = ++s->at;
    for (; s->at < s->end && *s->at != '"' && *s->at != '\r' && *s->at != '\n'; s->at++)
        if (is_control(*s->at) && *s->at != '\t')
            return control_fault(s, *s->at, f);
    if (s->at == s->end || *s->at != '"')
        return fault(f, "%s:%d: a quote \" that is not closed on its line", s->path, s->line);
    t->len = (size_t)(s->at++ - t->text);
    if (s->at < s->end && !ends_word(*s->at))
        return fault(f, "%s:%d: a closing quote must be followed by a blank or ';'", s->path,
                     s->line);
    return true;
}

static bool parse_bare(struct source *s, struct token *t, struct fault *f)
{
    ASSERT(s->at < s->end);
    t->text = s->at;
    for (; s->at < s->end && !ends_word(*s->at); s->at++) {
        if (is_control(*s->at))
            return control_fault(s, *s->at, f);
        if (*s->at == '"')
            return fault(f, "%s:%d: a quote \" inside of a word; put the whole word in quotes",
                         s->path, s->line);
    }
    t->len = (size_t)(s->at - t->text);
    return true;
}

static bool parse_word(struct source *s, struct token *t, struct fault *f)
{
    t->kind = TOKEN_WORD;
    if (!(*s->at == '"' ? parse_quoted(s, t, f) : parse_bare(s, t, f)))
        return false;
    ASSERT(t->len > 0 || t->quoted);
    if (t->len >= PATH_TEXT_MAX)
        return fault(f, "%s:%d: '%.20s...' is longer than %d bytes", s->path, s->line, t->text,
                     PATH_TEXT_MAX - 1);
    return true;
}

bool source_next(struct source *s, struct token *t, struct fault *f)
{
    ASSERT(s->at <= s->end && s->line > 0);
    skip_blanks(s);
    *t = (struct token){.kind = TOKEN_END, .line = s->line};
    if (s->at == s->end) {
        if (s->line > 1 && s->at[-1] == '\n')
            t->line--; /* editors do not number the empty line behind the last newline */
        return true;
    }
    switch (*s->at) {
    case ';':
        t->kind = TOKEN_SEMICOLON;
        break;
    case '{':
        t->kind = TOKEN_OPEN;
        break;
    case '}':
        t->kind = TOKEN_CLOSE;
        break;
    default:
        return parse_word(s, t, f);
    }
    s->at++;
    return true;
}
