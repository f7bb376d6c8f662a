/*
 * write_fd, to be written: sends bytes over a channel, and with them a descriptor.
 *
 * Its contract is in chapters/03-descriptor-passing/fdpass.h. The program `give` calls it, first
 * by hand to see it work, then by the test.
 */
#include "fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int write_fd(int channel, const void *data, size_t len, int fd)
{
    (void)channel;
    (void)data;
    (void)len;
    (void)fd;
    errno = ENOSYS;
    return -1;
}
