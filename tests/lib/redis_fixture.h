/*
 * redis_fixture: a redis-server of the test's own, on a Unix socket in a folder of its own, without
 * persistence. Started, waited for, and ended by its process id.
 */
#ifndef SPIKE_REDIS_FIXTURE_H
#define SPIKE_REDIS_FIXTURE_H

#include <hiredis/hiredis.h>
#include <sys/types.h>

struct redis_fixture {
    char dir[64], socket[96];
    pid_t pid;
    redisContext *c; /* for the commands of the test itself */
};

void redis_fixture_start(struct redis_fixture *r);
void redis_fixture_stop(struct redis_fixture *r);
/* An integer field of a hash, or of nothing: -12345. */
long long redis_fixture_field(struct redis_fixture *r, const char *key, const char *field);
/* Runs a command and ignores its reply, which must not be an error. */
void redis_fixture_do(struct redis_fixture *r, const char *format, ...);

#endif
