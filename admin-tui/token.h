/*
 * token: the secret by which nodes know an operator: one line of visible ASCII in a file, as the
 * server's setting `admin-token` has it.
 */
#ifndef SPIKE_TOP_TOKEN_H
#define SPIKE_TOP_TOKEN_H

#include "conf/base/fault.h"

#define TOKEN_BYTES 257 /* with its NUL */

MUST_CHECK bool token_read(char token[TOKEN_BYTES], const char *path, struct fault *f);

#endif
