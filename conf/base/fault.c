/*
 * fault: formats a message into the caller's struct; a longer one is cut.
 */
#include "conf/base/fault.h"

#include <stdarg.h>
#include <stdio.h>

void fault_set(struct fault *f, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->text, sizeof f->text, format, arguments);
    va_end(arguments);
}
