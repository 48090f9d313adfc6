/* preload */
/*
 * diskfault: the disk of a server fails at one call; see disk_faults.h.
 *
 * DISK_FAULT is "CALL HOW NTH once|on DIRECTORY", with the names of that file. Calls are counted
 * from the start of each process.
 *
 * Owner: any thread. Dying here has the effect of dying in the real call.
 */
#include "tests/lib/disk_faults.h"

static int find(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    abort();
}

__attribute__((constructor)) static void start(void)
{
    char call[16], how[16], stays[16];
    const char *text = getenv("DISK_FAULT");
    int at = 0;
    if (text == NULL ||
        sscanf(text, "%15s %15s %u %15s %n", call, how, &disk_fault.nth, stays, &at) != 4 ||
        at == 0)
        abort();
    snprintf(disk_fault.dir, sizeof disk_fault.dir, "%s", text + at);
    disk_fault.call = (enum disk_call)find(disk_call_names, CALLS, call);
    disk_fault.how = (enum disk_failure)find(disk_failure_names, FAILURES, how);
    disk_fault.stays = strcmp(stays, "on") == 0;
}
