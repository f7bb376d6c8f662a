/* Unit test of chapter 3's fdpass.c: every promise of fdpass.h, over real sockets and with the
 * calls beneath it interrupted, cut short and made to fail. */
#include "support.h"

#include "fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PASSPIDFD /* Linux 6.5 has it, Debian 12's headers have not */
#define SO_PASSPIDFD 76
#endif

/* ---- the calls beneath ---- */

/* What the next calls are to do: at most `chunk` bytes at a time; fail with `error` at call `at`.
 */
static struct fault {
    size_t chunk;
    int at, error, calls;
} recv_fault, send_fault;

static int sent_with_control; /* messages that left with a control message */
static int close_errno;       /* what errno is after close; 0 leaves it alone */

/* A control message that recvmsg makes up; none while its length is 0. */
static struct forged {
    int level, type, content;
    socklen_t length;
} forged;

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
int __real_close(int fd);
int __wrap_close(int fd);

static bool faulty(struct fault *fault)
{
    if (++fault->calls != fault->at)
        return false;
    errno = fault->error;
    return true;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
    size_t room = message->msg_controllen;

    if (faulty(&recv_fault))
        return -1;
    ssize_t received = __real_recvmsg(fd, message, flags);
    if (received > 0 && forged.length > 0) {
        message->msg_controllen = room;
        struct cmsghdr *header = CMSG_FIRSTHDR(message);
        assert_non_null(header);
        assert_true(CMSG_SPACE(forged.length) <= room);
        header->cmsg_level = forged.level;
        header->cmsg_type = forged.type;
        header->cmsg_len = CMSG_LEN(forged.length);
        memcpy(CMSG_DATA(header), &forged.content, forged.length);
        message->msg_controllen = CMSG_SPACE(forged.length);
    }
    return received;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct msghdr shorter = *message;
    struct iovec piece = message->msg_iov[0];

    if (faulty(&send_fault))
        return -1;
    if (send_fault.chunk > 0 && piece.iov_len > send_fault.chunk)
        piece.iov_len = send_fault.chunk;
    shorter.msg_iov = &piece;
    ssize_t sent = __real_sendmsg(fd, &shorter, flags);
    if (sent >= 0 && message->msg_controllen > 0)
        sent_with_control++;
    return sent;
}

int __wrap_close(int fd)
{
    int result = __real_close(fd);

    if (close_errno != 0)
        errno = close_errno;
    return result;
}

/* ---- what the tests share ---- */

static int pair[2]; /* 0 sends, 1 receives */
static int file;    /* what is passed: "0123456789" */
static int open_before;

static void open_pair(int type)
{
    const struct timeval patience = {.tv_sec = PATIENCE};

    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
    setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    open_before = descriptors_of(getpid());
}

static void close_pair(void)
{
    if (pair[0] != -1)
        close(pair[0]);
    if (pair[1] != -1)
        close(pair[1]);
    pair[0] = pair[1] = -1;
}

static int set_up(void **state)
{
    (void)state;
    recv_fault = send_fault = (struct fault){0};
    forged = (struct forged){0};
    sent_with_control = close_errno = 0;
    file = memfd_create("passed", MFD_CLOEXEC);
    assert_int_equal(pwrite(file, "0123456789", 10, 0), 10);
    open_pair(SOCK_STREAM);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_pair();
    close(file);
    return 0;
}

static void no_descriptor_leaks(void)
{
    assert_int_equal(descriptors_of(getpid()), open_before);
}

/* A number that names no descriptor, and is the next that would. */
static int lowest_free(void)
{
    int fd = dup(file);

    assert_true(fd != -1);
    close(fd);
    return fd;
}

/* `fd` is the file, under a number of its own. Closes it. */
static void expect_file(int fd)
{
    char content[16];

    assert_true(fd >= 0);
    assert_int_not_equal(fd, file);
    assert_int_equal(pread(fd, content, sizeof(content), 0), 10);
    assert_memory_equal(content, "0123456789", 10);
    close(fd);
}

/* Receives `text`, with the file or with no descriptor. */
static void expect_message(const char *text, bool with_file)
{
    char data[64];
    int fd = -2;
    size_t length = strlen(text);

    assert_int_equal(read_fd(pair[1], data, sizeof(data), &fd), length);
    assert_memory_equal(data, text, length);
    if (with_file)
        expect_file(fd);
    else
        assert_int_equal(fd, -1);
}

/* Receiving fails with `error`, delivers no descriptor, and leaves none open. */
static void expect_error(int error)
{
    char data[4];
    int fd = -2;

    assert_int_equal(read_fd(pair[1], data, sizeof(data), &fd), -1);
    assert_int_equal(errno, error);
    assert_int_equal(fd, -1);
    no_descriptor_leaks();
}

static void expect_end_of_file(void)
{
    char byte;
    int fd = -2;

    assert_int_equal(read_fd(pair[1], &byte, 1, &fd), 0);
    assert_int_equal(fd, -1);
}

static void expect_nothing_sent(void)
{
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    expect_error(EAGAIN);
}

/* Sends what no write_fd would: `length` bytes, with `count` copies of the file's descriptor. */
static void send_raw(size_t length, size_t count)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (char[]){"raw bytes"}, .iov_len = length};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    assert_true(length <= 9 && count <= 8);
    if (count > 0) {
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (size_t i = 0; i < count; i++)
            memcpy(CMSG_DATA(header) + i * sizeof(int), &file, sizeof(int));
    }
    assert_int_equal(__real_sendmsg(pair[0], &message, MSG_NOSIGNAL), length);
}

/* Lets this process open `room` descriptors more and no others, until lift_limit. A child does
 * both, for valgrind only pretends to lower a limit that its process sets itself. */
static pid_t limiter;
static int words[2]; /* 0 is this process's end, 1 the child's */

static void limit_descriptors(int room)
{
    pid_t self = getpid();
    struct rlimit before, limited;
    int limit;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, words), 0);
    limiter = fork();
    assert_true(limiter != -1);
    if (limiter == 0) {
        close(words[0]);
        if (read(words[1], &limit, sizeof(limit)) != sizeof(limit) ||
            prlimit(self, RLIMIT_NOFILE, NULL, &before) == -1)
            _exit(1);
        limited = before;
        limited.rlim_cur = (rlim_t)limit;
        if (prlimit(self, RLIMIT_NOFILE, &limited, NULL) == -1 || write(words[1], "!", 1) != 1 ||
            read(words[1], &limit, 1) != 1 || prlimit(self, RLIMIT_NOFILE, &before, NULL) == -1)
            _exit(1);
        _exit(0);
    }
    close(words[1]);
    limit = lowest_free() + room;
    assert_int_equal(write(words[0], &limit, sizeof(limit)), sizeof(limit));
    assert_int_equal(read(words[0], &(char){0}, 1), 1);
}

static void lift_limit(void)
{
    int status;

    assert_int_equal(write(words[0], "!", 1), 1);
    assert_int_equal(waitpid(limiter, &status, 0), limiter);
    assert_int_equal(status, 0);
    close(words[0]);
}

/* ---- one message, one descriptor ---- */

static void data_and_descriptor_arrive_in_one_message(void **state)
{
    (void)state;
    assert_int_equal(write_fd(pair[0], "hello", 5, file), 0);
    assert_int_equal(send_fault.calls, 1);
    assert_int_equal(sent_with_control, 1);
    expect_message("hello", true);
    assert_int_equal(recv_fault.calls, 1);
    no_descriptor_leaks();
}

static void data_alone_arrives_without_a_descriptor(void **state)
{
    (void)state;
    assert_int_equal(write_fd(pair[0], "hello", 5, -1), 0);
    assert_int_equal(sent_with_control, 0);
    expect_message("hello", false);
    no_descriptor_leaks();
}

static void bytes_of_every_value_arrive(void **state)
{
    char bytes[256], back[256];
    int fd;

    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    assert_int_equal(write_fd(pair[0], bytes, 256, file), 0);
    assert_int_equal(read_fd(pair[1], back, 256, &fd), 256);
    assert_memory_equal(back, bytes, 256);
    expect_file(fd);
}

static void every_kind_of_socket_carries_a_descriptor(void **state)
{
    const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        close_pair();
        open_pair(types[i]);
        assert_int_equal(write_fd(pair[0], "with", 4, file), 0);
        assert_int_equal(write_fd(pair[0], "without", 7, -1), 0);
        expect_message("with", true);
        expect_message("without", false);
        no_descriptor_leaks();
    }
}

static void descriptor_zero_can_be_passed(void **state)
{
    struct stat passed, received;
    char byte;
    int fd;

    (void)state;
    int input = dup(STDIN_FILENO);
    assert_int_equal(dup2(file, STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(write_fd(pair[0], "x", 1, STDIN_FILENO), 0);
    if (input != -1) {
        dup2(input, STDIN_FILENO);
        close(input);
    } else {
        close(STDIN_FILENO);
    }
    assert_int_equal(read_fd(pair[1], &byte, 1, &fd), 1);
    assert_int_equal(fstat(file, &passed), 0);
    assert_int_equal(fstat(fd, &received), 0);
    assert_int_equal(received.st_ino, passed.st_ino);
    expect_file(fd);
}

static void the_received_descriptor_is_close_on_exec(void **state)
{
    char byte;
    int fd, open_to_all = dup(file); /* dup clears the flag */

    (void)state;
    assert_false(fcntl(open_to_all, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write_fd(pair[0], "x", 1, open_to_all), 0);
    assert_int_equal(read_fd(pair[1], &byte, 1, &fd), 1);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    close(open_to_all);
}

static void the_received_descriptor_shares_the_offset(void **state)
{
    char byte, part[4];
    int fd;

    (void)state;
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    assert_int_equal(write_fd(pair[0], "x", 1, file), 0);
    assert_int_equal(read_fd(pair[1], &byte, 1, &fd), 1);
    assert_int_equal(read(file, part, 4), 4);
    assert_int_equal(read(fd, part, 4), 4);
    assert_memory_equal(part, "4567", 4);
    assert_int_equal(lseek(file, 0, SEEK_CUR), 8);
    close(fd);
}

static void the_sender_keeps_its_descriptor(void **state)
{
    (void)state;
    assert_int_equal(write_fd(pair[0], "x", 1, file), 0);
    assert_true(fcntl(file, F_GETFD) != -1);
    no_descriptor_leaks();
    expect_message("x", true);
    assert_true(fcntl(file, F_GETFD) != -1);
}

static void the_sender_may_close_its_descriptor_before_it_arrives(void **state)
{
    int copy = dup(file);

    (void)state;
    assert_int_equal(write_fd(pair[0], "x", 1, copy), 0);
    close(copy);
    expect_message("x", true);
    no_descriptor_leaks();
}

static void a_stream_stops_at_each_descriptor(void **state)
{
    (void)state;
    assert_int_equal(write_fd(pair[0], "ab", 2, file), 0);
    assert_int_equal(write_fd(pair[0], "cd", 2, file), 0);
    assert_int_equal(write_fd(pair[0], "ef", 2, -1), 0);
    expect_message("ab", true);
    expect_message("cd", true);
    expect_message("ef", false);
    no_descriptor_leaks();
}

static void the_descriptor_comes_with_the_first_of_several_reads(void **state)
{
    char part[2];
    int fd;

    (void)state;
    assert_int_equal(write_fd(pair[0], "abcdef", 6, file), 0);
    assert_int_equal(read_fd(pair[1], part, 2, &fd), 2);
    assert_memory_equal(part, "ab", 2);
    expect_file(fd);
    expect_message("cdef", false);
}

/* ---- no descriptor ---- */

static void end_of_file_is_no_error_and_no_message(void **state)
{
    (void)state;
    assert_int_equal(write_fd(pair[0], "last", 4, -1), 0);
    close(pair[0]);
    pair[0] = -1;
    open_before--;
    expect_message("last", false);
    expect_end_of_file();
    expect_end_of_file();
    no_descriptor_leaks();
}

static void what_was_sent_before_the_end_still_arrives(void **state)
{
    (void)state;
    assert_int_equal(write_fd(pair[0], "last", 4, file), 0);
    close(pair[0]);
    pair[0] = -1;
    expect_message("last", true);
    expect_end_of_file();
}

static void an_empty_channel_that_does_not_block_is_an_error(void **state)
{
    (void)state;
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    expect_error(EAGAIN);
}

static void an_error_of_recvmsg_delivers_no_descriptor(void **state)
{
    (void)state;
    assert_int_equal(write_fd(pair[0], "x", 1, file), 0);
    recv_fault = (struct fault){.at = 1, .error = ECONNRESET};
    expect_error(ECONNRESET);
}

static void a_channel_that_is_no_socket_is_an_error_on_both_sides(void **state)
{
    char byte;
    int fd = -2;

    (void)state;
    assert_int_equal(write_fd(file, "x", 1, pair[0]), -1);
    assert_int_equal(errno, ENOTSOCK);
    assert_int_equal(read_fd(file, &byte, 1, &fd), -1);
    assert_int_equal(errno, ENOTSOCK);
    assert_int_equal(fd, -1);
}

/* ---- arguments ---- */

static void sending_no_bytes_is_refused(void **state)
{
    (void)state;
    errno = 0;
    assert_int_equal(write_fd(pair[0], "", 0, file), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(write_fd(pair[0], "", 0, -1), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(send_fault.calls, 0);
    expect_nothing_sent();
}

static void receiving_no_bytes_is_refused_and_loses_nothing(void **state)
{
    char byte;
    int fd = -2;

    (void)state;
    assert_int_equal(write_fd(pair[0], "x", 1, file), 0);
    assert_int_equal(read_fd(pair[1], &byte, 0, &fd), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(fd, -1);
    no_descriptor_leaks();
    expect_message("x", true);
}

static void a_descriptor_that_is_not_open_is_refused_and_no_data_sent(void **state)
{
    (void)state;
    assert_int_equal(write_fd(pair[0], "x", 1, lowest_free()), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(write_fd(pair[0], "x", 1, -2), -1);
    assert_int_equal(errno, EBADF);
    expect_nothing_sent();
}

/* ---- interruptions, short counts, errors of sending ---- */

static void an_interrupted_send_is_repeated_with_its_descriptor(void **state)
{
    (void)state;
    send_fault = (struct fault){.at = 1, .error = EINTR};
    assert_int_equal(write_fd(pair[0], "hello", 5, file), 0);
    assert_int_equal(send_fault.calls, 2);
    assert_int_equal(sent_with_control, 1);
    expect_message("hello", true);
}

static void an_interrupted_receive_is_repeated_with_its_descriptor(void **state)
{
    (void)state;
    assert_int_equal(write_fd(pair[0], "hello", 5, file), 0);
    recv_fault = (struct fault){.at = 1, .error = EINTR};
    expect_message("hello", true);
    assert_int_equal(recv_fault.calls, 2);
    no_descriptor_leaks();
}

static void on_signal(int signal_number)
{
    (void)signal_number;
    send(pair[0], "x", 1, MSG_NOSIGNAL);
}

/* Only the handler sends what read_fd waits for. */
static void a_signal_handler_does_not_end_the_wait(void **state)
{
    const struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */
    struct sigaction before;
    pid_t self = getpid();

    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    pid_t child = fork();
    assert_true(child != -1);
    if (child == 0) {
        while (process_state(self) != 'S') /* it waits in recvmsg */
            if (getppid() != self)
                _exit(1);
        kill(self, SIGUSR1);
        _exit(0);
    }
    expect_message("x", false);
    assert_int_equal(waitpid(child, NULL, 0), child);
    sigaction(SIGUSR1, &before, NULL);
}

static void short_counts_send_the_descriptor_once(void **state)
{
    const char *text = "a message in pieces";
    char data[64];
    size_t received = 0;
    int fd, descriptors = 0;

    (void)state;
    send_fault.chunk = 3;
    assert_int_equal(write_fd(pair[0], text, strlen(text), file), 0);
    assert_int_equal(send_fault.calls, 7);
    assert_int_equal(sent_with_control, 1);
    shutdown(pair[0], SHUT_WR);
    for (;;) {
        ssize_t n = read_fd(pair[1], data + received, sizeof(data) - received, &fd);
        if (fd != -1) {
            assert_int_equal(received, 0); /* it comes with the first bytes */
            expect_file(fd);
            descriptors++;
        }
        if (n <= 0) {
            assert_int_equal(n, 0);
            break;
        }
        received += (size_t)n;
    }
    assert_int_equal(received, strlen(text));
    assert_memory_equal(data, text, received);
    assert_int_equal(descriptors, 1);
    no_descriptor_leaks();
}

static void an_interruption_after_a_short_count_loses_and_repeats_nothing(void **state)
{
    (void)state;
    send_fault = (struct fault){.chunk = 2, .at = 2, .error = EINTR};
    assert_int_equal(write_fd(pair[0], "hello", 5, file), 0);
    assert_int_equal(send_fault.calls, 4);
    assert_int_equal(sent_with_control, 1);
    expect_message("he", true);
    expect_message("llo", false);
}

static void an_error_after_a_short_count_is_an_error(void **state)
{
    (void)state;
    send_fault = (struct fault){.chunk = 2, .at = 2, .error = ECONNRESET};
    assert_int_equal(write_fd(pair[0], "hello", 5, file), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(send_fault.calls, 2);
}

static void too_many_descriptors_on_their_way_is_an_error(void **state)
{
    (void)state;
    send_fault = (struct fault){.at = 1, .error = ETOOMANYREFS};
    assert_int_equal(write_fd(pair[0], "hello", 5, file), -1);
    assert_int_equal(errno, ETOOMANYREFS);
    expect_nothing_sent();
}

static void a_receiver_that_has_gone_is_an_error_and_no_signal(void **state)
{
    (void)state;
    close(pair[1]);
    pair[1] = -1;
    void (*before)(int) = signal(SIGPIPE, SIG_DFL); /* it would end this test */
    int result = write_fd(pair[0], "x", 1, file), error = errno;
    signal(SIGPIPE, before);
    assert_int_equal(result, -1);
    assert_int_equal(error, EPIPE);
}

/* ---- what nobody asked for ---- */

static void several_descriptors_in_one_message_are_all_closed(void **state)
{
    const size_t counts[] = {2, 5};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        send_raw(3, counts[i]);
        expect_error(EPROTO);
    }
    assert_int_equal(write_fd(pair[0], "next", 4, file), 0);
    expect_message("next", true);
}

static void the_error_outlives_the_closing(void **state)
{
    (void)state;
    send_raw(3, 2);
    close_errno = EIO;
    expect_error(EPROTO);
}

static void credentials_are_refused_with_and_without_a_descriptor(void **state)
{
    (void)state;
    assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)), 0);
    send_raw(3, 0);
    expect_error(EPROTO);
    send_raw(3, 1);
    expect_error(EPROTO);
    send_raw(3, 3);
    expect_error(EPROTO);
    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &(int){0}, sizeof(int));
    assert_int_equal(write_fd(pair[0], "next", 4, file), 0);
    expect_message("next", true);
}

/* A pidfd comes in a control message of its own (SCM_PIDFD), and is a descriptor as well. */
static void a_pidfd_is_refused_and_closed(void **state)
{
    (void)state;
    if (setsockopt(pair[1], SOL_SOCKET, SO_PASSPIDFD, &(int){1}, sizeof(int)) == -1)
        skip(); /* before Linux 6.5 */
    send_raw(3, 0);
    expect_error(EPROTO);
    send_raw(3, 1);
    expect_error(EPROTO);
}

static void a_control_message_of_another_level_or_type_is_refused(void **state)
{
    const struct forged others[] = {
        {.level = SOL_SOCKET, .type = SCM_CREDENTIALS},
        {.level = SOL_SOCKET, .type = 99},
        {.level = IPPROTO_IP, .type = SCM_RIGHTS},
        {.level = IPPROTO_IPV6, .type = SCM_CREDENTIALS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        assert_int_equal(write_fd(pair[0], "x", 1, -1), 0);
        forged = others[i];
        forged.content = file; /* a number, and no descriptor of ours to close */
        forged.length = sizeof(int);
        expect_error(EPROTO);
        assert_true(fcntl(file, F_GETFD) != -1);
    }
}

static void a_datagram_longer_than_the_buffer_is_refused_and_its_descriptor_closed(void **state)
{
    const int types[] = {SOCK_SEQPACKET, SOCK_DGRAM};

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        close_pair();
        open_pair(types[i]);
        assert_int_equal(write_fd(pair[0], "five.", 5, file), 0);
        expect_error(EMSGSIZE); /* its buffer holds four */
        assert_int_equal(write_fd(pair[0], "five.", 5, -1), 0);
        expect_error(EMSGSIZE);
        assert_int_equal(write_fd(pair[0], "four", 4, file), 0);
        expect_message("four", true);
    }
}

/* 0 means end-of-file, which brings no descriptor: a caller who sees it closes none. */
static void an_empty_datagram_leaves_no_descriptor_open(void **state)
{
    const int types[] = {SOCK_SEQPACKET, SOCK_DGRAM};

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        close_pair();
        open_pair(types[i]);
        send_raw(0, 1);
        expect_error(EPROTO);
    }
}

/* ---- at the limit ---- */

static void at_the_limit_of_descriptors_nothing_leaks_and_afterwards_all_is_well(void **state)
{
    char data[4];
    int fd = -2;

    (void)state;
    assert_int_equal(write_fd(pair[0], "x", 1, file), 0);
    limit_descriptors(0);
    ssize_t received = read_fd(pair[1], data, sizeof(data), &fd);
    int error = errno;
    lift_limit();
    assert_int_equal(received, -1);
    assert_int_equal(error, EMFILE);
    assert_int_equal(fd, -1);
    no_descriptor_leaks();
    assert_int_equal(write_fd(pair[0], "next", 4, file), 0);
    expect_message("next", true);
}

static void at_the_limit_of_descriptors_data_alone_still_arrives(void **state)
{
    char data[4];
    int fd = -2;

    (void)state;
    assert_int_equal(write_fd(pair[0], "data", 4, -1), 0);
    limit_descriptors(0);
    ssize_t received = read_fd(pair[1], data, sizeof(data), &fd);
    lift_limit();
    assert_int_equal(received, 4);
    assert_memory_equal(data, "data", 4);
    assert_int_equal(fd, -1);
}

static void two_descriptors_where_the_limit_leaves_room_for_one_are_refused(void **state)
{
    char data[4];
    int fd = -2;

    (void)state;
    send_raw(3, 2);
    limit_descriptors(1);
    ssize_t received = read_fd(pair[1], data, sizeof(data), &fd);
    int error = errno;
    lift_limit();
    assert_int_equal(received, -1);
    assert_int_equal(error, EPROTO);
    assert_int_equal(fd, -1);
    no_descriptor_leaks();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(data_and_descriptor_arrive_in_one_message),
        TEST(data_alone_arrives_without_a_descriptor),
        TEST(bytes_of_every_value_arrive),
        TEST(every_kind_of_socket_carries_a_descriptor),
        TEST(descriptor_zero_can_be_passed),
        TEST(the_received_descriptor_is_close_on_exec),
        TEST(the_received_descriptor_shares_the_offset),
        TEST(the_sender_keeps_its_descriptor),
        TEST(the_sender_may_close_its_descriptor_before_it_arrives),
        TEST(a_stream_stops_at_each_descriptor),
        TEST(the_descriptor_comes_with_the_first_of_several_reads),
        TEST(end_of_file_is_no_error_and_no_message),
        TEST(what_was_sent_before_the_end_still_arrives),
        TEST(an_empty_channel_that_does_not_block_is_an_error),
        TEST(an_error_of_recvmsg_delivers_no_descriptor),
        TEST(a_channel_that_is_no_socket_is_an_error_on_both_sides),
        TEST(sending_no_bytes_is_refused),
        TEST(receiving_no_bytes_is_refused_and_loses_nothing),
        TEST(a_descriptor_that_is_not_open_is_refused_and_no_data_sent),
        TEST(an_interrupted_send_is_repeated_with_its_descriptor),
        TEST(an_interrupted_receive_is_repeated_with_its_descriptor),
        TEST(a_signal_handler_does_not_end_the_wait),
        TEST(short_counts_send_the_descriptor_once),
        TEST(an_interruption_after_a_short_count_loses_and_repeats_nothing),
        TEST(an_error_after_a_short_count_is_an_error),
        TEST(too_many_descriptors_on_their_way_is_an_error),
        TEST(a_receiver_that_has_gone_is_an_error_and_no_signal),
        TEST(several_descriptors_in_one_message_are_all_closed),
        TEST(the_error_outlives_the_closing),
        TEST(credentials_are_refused_with_and_without_a_descriptor),
        TEST(a_pidfd_is_refused_and_closed),
        TEST(a_control_message_of_another_level_or_type_is_refused),
        TEST(a_datagram_longer_than_the_buffer_is_refused_and_its_descriptor_closed),
        TEST(an_empty_datagram_leaves_no_descriptor_open),
        TEST(at_the_limit_of_descriptors_nothing_leaks_and_afterwards_all_is_well),
        TEST(at_the_limit_of_descriptors_data_alone_still_arrives),
        TEST(two_descriptors_where_the_limit_leaves_room_for_one_are_refused),
    };

    return run_chosen(tests);
}
