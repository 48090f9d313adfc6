/*
 * token: the secret by which a node authorizes an operator: one line of visible ASCII in a file, as
 * for the server's setting `admin-token`.
 */
#ifndef SPIKE_TOP_TOKEN_H
#define SPIKE_TOP_TOKEN_H

#include "conf/base/fault.h"

#define TOKEN_BYTES 257 /* with its NUL */

/* Reads the file into `token`. False: it cannot be read, or is not such a line; f says why. */
MUST_CHECK bool token_read(char token[TOKEN_BYTES], const char *path, struct fault *f);

#endif
