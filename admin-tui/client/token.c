/*
 * token: see token.h. The token is sent to the nodes and appears nowhere else.
 */
#include "admin-tui/client/token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool token_read(char token[TOKEN_BYTES], const char *path, struct fault *f)
{
    ASSERT(path != NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fault(f, "token %s: %s", path, strerror(errno));
    ssize_t got = read(fd, token, TOKEN_BYTES - 1);
    int error = errno;
    close(fd);
    if (got < 0)
        return fault(f, "token %s: %s", path, strerror(error));
    ASSERT(got < TOKEN_BYTES);
    size_t end = (size_t)got, len = 0;
    token[end] = '\0';
    while (token[len] >= 0x21 && token[len] <= 0x7e)
        len++;
    bool clean = len + strspn(token + len, "\r\n") == end;
    token[len] = '\0';
    if (!clean || len == 0)
        return fault(f, "token %s: expected one line of visible ASCII, at most %d bytes", path,
                     TOKEN_BYTES - 2);
    return true;
}
