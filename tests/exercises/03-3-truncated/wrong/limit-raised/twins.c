/*
 * twins FILE...
 *
 * Says which of the files are the same, byte for byte. Two processes do it: the comparer reads
 * what is in the files, and can open none; it asks the opener, which opens them and passes back
 * their descriptors. So a fault in the comparer is no way to other files (privilege separation, as
 * in sshd).
 *
 * To see: with a limit of descriptors below the number of files, different files become the same.
 */
#include "fdpass.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the opener ---- */

/* Answers each name with an errno, and with a descriptor if that is 0. */
static void open_files(int channel)
{
    char name[PATH_MAX];
    ssize_t length;

    while ((length = recv(channel, name, sizeof(name) - 1, 0)) > 0) {
        name[length] = '\0';
        int file = open(name, O_RDONLY | O_CLOEXEC);
        unsigned char error = file == -1 ? (unsigned char)errno : 0;
        if (write_fd(channel, &error, 1, file) == -1)
            return; /* the comparer has gone */
        if (file != -1)
            close(file);
    }
}

/* ---- the comparer ---- */

/* Receives the opener's answer. Returns a descriptor, or -1 with errno. */
static int receive_file(int channel)
{
    static union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    unsigned char error;
    int file;
    struct iovec iov = {.iov_base = &error, .iov_len = 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    message.msg_control = control.space;
    message.msg_controllen = sizeof(control.space);
    if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != 1)
        errx(EXIT_FAILURE, "the opener has gone");
    if (error != 0) {
        errno = error;
        return -1;
    }
    memcpy(&file, CMSG_DATA(&control.header), sizeof(file));
    return file;
}

static int ask_for(const char *name, int channel)
{
    if (send(channel, name, strlen(name), MSG_NOSIGNAL) == -1)
        err(EXIT_FAILURE, "the opener has gone");
    return receive_file(channel);
}

static bool are_twins(int a, int b)
{
    char part_of_a[4096], part_of_b[4096];

    for (off_t offset = 0;; offset += (off_t)sizeof(part_of_a)) {
        ssize_t n = pread(a, part_of_a, sizeof(part_of_a), offset);
        ssize_t m = pread(b, part_of_b, sizeof(part_of_b), offset);
        if (n == -1 || m == -1)
            err(EXIT_FAILURE, "read");
        if (n != m || memcmp(part_of_a, part_of_b, (size_t)n) != 0)
            return false;
        if (n == 0)
            return true;
    }
}

static void compare(int channel, int count, char **names)
{
    int *files = calloc((size_t)count, sizeof(*files));

    if (!files)
        err(EXIT_FAILURE, "memory");
    for (int i = 0; i < count; i++) {
        files[i] = ask_for(names[i], channel);
        if (files[i] == -1)
            err(EXIT_FAILURE, "%s", names[i]);
    }
    for (int i = 0; i < count; i++)
        for (int j = i + 1; j < count; j++)
            if (are_twins(files[i], files[j]))
                printf("%s and %s are the same\n", names[i], names[j]);
    for (int i = 0; i < count; i++)
        close(files[i]);
    free(files);
}

int main(int argc, char **argv)
{
    int channel[2];

    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: %s FILE...\n", program_invocation_short_name);
        return 2;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) == -1)
        err(EXIT_FAILURE, "socketpair");
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    pid_t opener = fork_child();
    if (opener == -1)
        err(EXIT_FAILURE, "fork");
    if (opener == 0) {
        close(channel[0]);
        open_files(channel[1]);
        _exit(EXIT_SUCCESS);
    }
    close(channel[1]);
    compare(channel[0], argc - 1, argv + 1);
    return EXIT_SUCCESS;
}
