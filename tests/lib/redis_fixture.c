/* helper: linked into unit tests, no program of its own */
#include "tests/lib/redis_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/base/check.h"

static _Noreturn void become_redis(const struct redis_fixture *r)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves nothing running */
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", r->socket, "--save", "",
           "--appendonly", "no", "--dir", r->dir, "--daemonize", "no", (char *)NULL);
    _exit(127);
}

void redis_fixture_start(struct redis_fixture *r)
{
    strcpy(r->dir, "/tmp/spike-test-XXXXXX");
    ASSERT(mkdtemp(r->dir) != NULL);
    snprintf(r->socket, sizeof r->socket, "%s/redis.sock", r->dir);
    r->pid = fork();
    ASSERT(r->pid >= 0);
    if (r->pid == 0)
        become_redis(r);
    for (int tries = 0; tries < 500; tries++) {
        r->c = redisConnectUnix(r->socket);
        if (r->c != NULL && r->c->err == 0)
            return;
        redisFree(r->c);
        poll(NULL, 0, 20); /* the condition is the connection above */
    }
    check_failed(__FILE__, __LINE__, "redis-server starts");
}

void redis_fixture_stop(struct redis_fixture *r)
{
    redisFree(r->c);
    kill(r->pid, SIGTERM);
    waitpid(r->pid, NULL, 0);
    unlink(r->socket);
    rmdir(r->dir);
}

long long redis_fixture_field(struct redis_fixture *r, const char *key, const char *field)
{
    redisReply *reply = redisCommand(r->c, "HGET %s %s", key, field);
    ASSERT(reply != NULL);
    long long value = reply->type == REDIS_REPLY_STRING ? atoll(reply->str) : -12345;
    freeReplyObject(reply);
    return value;
}

void redis_fixture_do(struct redis_fixture *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(r->c, format, arguments);
    va_end(arguments);
    ASSERT(reply != NULL && reply->type != REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}
