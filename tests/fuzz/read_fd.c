/*
 * Fuzz target: read_fd against a hostile peer.
 *
 * The first byte chooses one of two modes.
 *
 * Over a real channel the script sends messages, shuts down, closes, and reads, and a model of the
 * channel foretells what each read_fd must return.
 *
 * In the other mode recvmsg and close are replaced (ld's --wrap): the control bytes are the
 * fuzzer's, and the descriptors in them only numbers, each of which must be returned or closed
 * once.
 */
#include "fdpass.h"
#include "script.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_PASSPIDFD /* Linux 6.5; older ones refuse the option, and nothing is lost */
#define SO_PASSPIDFD 76
#define SCM_PIDFD    0x04
#endif

enum {
    MOST_STEPS = 64,
    MOST_BYTES = 4096,      /* a message; less than what the kernel splits into pieces */
    MOST_DESCRIPTORS = 253, /* SCM_MAX_FD: the kernel refuses more in one message */
    MOST_CONTROLS = 4,      /* SCM_RIGHTS headers a message */
    NO_LIMIT = -1,
};

/*
 * Whether cmsg_len may also be what no kernel makes it: shorter than its header, or longer than
 * the control bytes.
 */
static const bool malformed_lengths = false;

static struct rlimit limit; /* RLIMIT_NOFILE as it was at the beginning */
static int offered;         /* the file that the peer sends descriptors of */
static struct stat offered_file;

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
int __real_close(int fd);
int __wrap_close(int fd);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    DEMAND(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    /* Not close-on-exec, so that it is read_fd's doing when a received one is. */
    offered = open("/dev/null", O_RDONLY);
    DEMAND(offered != -1 && fstat(offered, &offered_file) == 0);
    return 0;
}

/* ---- a real channel ---- */

struct message {
    size_t length;
    int descriptors;
    uint8_t first; /* the bytes count up from this one */
};

/* The channel as it must be, if the kernel and read_fd do what they promise. */
static struct channel {
    int type;
    int open; /* descriptors of this process, both ends counted */
    int peer, reader;
    bool ended;       /* the peer has shut down or closed */
    bool unread;      /* the peer has not read what the reader sent: closing is a reset */
    bool reset;       /* a reset that the reader has not been told of */
    bool credentials; /* the reader has asked for control messages: SCM_CREDENTIALS, */
    bool others;      /* SCM_PIDFD or SCM_TIMESTAMP, which not every message brings */
    int room;         /* descriptors that the reader may still open, or NO_LIMIT */
    int first, last;  /* of the messages on their way */
    size_t taken;     /* bytes of the first one that have been read (SOCK_STREAM) */
    uint8_t counter;
    struct message messages[MOST_STEPS];
} channel;

/* Some lengths matter more than others: 0, 1, many. */
static size_t length_of(uint8_t byte)
{
    return byte < 128 ? byte : byte < 192 ? (size_t)(byte - 127) * 64 : (size_t)(byte & 3);
}

static void peer_sends(struct script *script)
{
    struct message *message = &channel.messages[channel.last];
    char bytes[MOST_BYTES];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE((MOST_DESCRIPTORS + 1) * sizeof(int)) +
                   MOST_CONTROLS * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    } control;
    size_t used = 0;

    uint8_t how = script_byte(script);
    message->length = length_of(script_byte(script));
    message->descriptors = how & 1 ? script_byte(script) : how >> 1 & 3;
    message->first = channel.counter;
    for (size_t i = 0; i < message->length; i++)
        bytes[i] = (char)(message->first + i);

    memset(&control, 0, sizeof(control));
    int headers = 1 + (how >> 3 & 3), to_send = message->descriptors;
    if (to_send > MOST_DESCRIPTORS + 1)
        to_send = message->descriptors = MOST_DESCRIPTORS + 1;
    for (int i = 0; i < headers && to_send > 0; i++) {
        int share = i == headers - 1 ? to_send : (to_send + 1) / 2;
        struct cmsghdr *header = (struct cmsghdr *)(control.space + used);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN((size_t)share * sizeof(int));
        for (int j = 0; j < share; j++)
            memcpy(CMSG_DATA(header) + (size_t)j * sizeof(int), &offered, sizeof(int));
        used += CMSG_SPACE((size_t)share * sizeof(int));
        to_send -= share;
    }
    if (how & 0x20) { /* the peer may say who it is, whether or not the reader wants to know */
        struct ucred credentials = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
        struct cmsghdr *header = (struct cmsghdr *)(control.space + used);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_CREDENTIALS;
        header->cmsg_len = CMSG_LEN(sizeof(credentials));
        memcpy(CMSG_DATA(header), &credentials, sizeof(credentials));
        used += CMSG_SPACE(sizeof(credentials));
    }

    struct iovec iov = {.iov_base = bytes, .iov_len = message->length};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = used > 0 ? control.space : NULL,
                            .msg_controllen = used};
    ssize_t sent =
        channel.peer == -1 ? -1 : sendmsg(channel.peer, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* A full channel, too many descriptors, the end: then there is no message. Nor is there one
     * without bytes on a stream, and its descriptors are gone. */
    if (sent == -1 || (sent == 0 && channel.type == SOCK_STREAM))
        return;
    DEMAND((size_t)sent == message->length);
    channel.counter = (uint8_t)(channel.counter + message->length);
    channel.last++;
}

static void peer_ends(bool closes)
{
    if (channel.peer == -1)
        return;
    if (channel.type != SOCK_DGRAM) { /* datagrams have no end */
        channel.ended = true;
        channel.reset = channel.reset || (closes && channel.unread);
    }
    if (closes) {
        close(channel.peer);
        channel.peer = -1;
        channel.open--;
    } else {
        shutdown(channel.peer, SHUT_WR);
    }
}

static void reader_asks_for(uint8_t option)
{
    static const int options[] = {SO_PASSCRED, SO_PASSPIDFD, SO_TIMESTAMP};
    int on = option >> 7;

    option %= 3;
    if (setsockopt(channel.reader, SOL_SOCKET, options[option], &on, sizeof(on)) == -1)
        return;
    if (option == 0)
        channel.credentials = on;
    else
        channel.others = channel.others || on;
}

/* Lowers the limit until only `room` numbers are free below it. Returns how many are. */
static int lower_limit(int room)
{
    struct rlimit lowered = limit;
    int lowest = fcntl(offered, F_DUPFD, 0), free_below = 0;

    DEMAND(lowest != -1);
    close(lowest);
    lowered.rlim_cur = (rlim_t)(lowest + room);
    for (int fd = lowest; fd < lowest + room; fd++)
        free_below += fcntl(fd, F_GETFD) == -1;
    DEMAND(setrlimit(RLIMIT_NOFILE, &lowered) == 0);
    return free_below;
}

/* What read_fd must say of a message with `descriptors`: 0, or the errno. */
static int error_of(int descriptors, size_t message_length, size_t buffer_length, int room)
{
    if (channel.credentials)
        return EPROTO;
    if (descriptors > 0 && room == 0)
        return EMFILE;
    if (descriptors > 1 || (descriptors > 0 && message_length == 0))
        return EPROTO;
    return message_length > buffer_length ? EMSGSIZE : 0;
}

/* Takes `bytes` from the stream's messages. Returns the descriptors that came with them. */
static int take_from_stream(size_t bytes)
{
    int descriptors = 0;

    while (bytes > 0) {
        DEMAND(channel.first < channel.last);
        DEMAND(descriptors == 0 || channel.taken > 0); /* nothing from beyond the descriptor */
        struct message *message = &channel.messages[channel.first];
        size_t part = message->length - channel.taken;
        if (channel.taken == 0)
            descriptors = message->descriptors;
        if (part > bytes)
            part = bytes;
        bytes -= part;
        channel.taken += part;
        if (channel.taken == message->length) {
            channel.first++;
            channel.taken = 0;
        }
    }
    return descriptors;
}

static int bytes_queued(void)
{
    int bytes;

    DEMAND(ioctl(channel.reader, SIOCINQ, &bytes) == 0);
    return bytes;
}

/* Calls read_fd once. Returns false when there is no more to read. */
static bool reader_reads(size_t length)
{
    char *buffer = malloc(length > 0 ? length : 1); /* its own block: ASan sees one byte beyond */
    int fd = INT_MAX, room = INT_MAX, queued = 0, error = 0;
    bool more = true;

    DEMAND(buffer);
    if (channel.type == SOCK_STREAM)
        queued = bytes_queued();
    if (channel.room != NO_LIMIT)
        room = lower_limit(channel.room);
    ssize_t received = read_fd(channel.reader, buffer, length, &fd);
    error = received == -1 ? errno : 0;
    DEMAND(setrlimit(RLIMIT_NOFILE, &limit) == 0); /* before anything that could fail for it */

    DEMAND(received >= -1 && (received == -1 || (size_t)received <= length));
    DEMAND(received > 0 || fd == -1);
    if (fd != -1) {
        struct stat file;
        DEMAND(fcntl(fd, F_GETFD) == FD_CLOEXEC);
        DEMAND(fstat(fd, &file) == 0 && file.st_ino == offered_file.st_ino);
    }

    struct message *message = &channel.messages[channel.first];
    bool waiting = channel.first < channel.last;
    if (length == 0) {
        DEMAND(error == EINVAL);
    } else if (channel.reset && (!waiting || channel.type == SOCK_SEQPACKET)) {
        DEMAND(error == ECONNRESET);
        channel.reset = false;
    } else if (!waiting) {
        /* With SO_PASSCRED the kernel says at the end, too, who has sent nothing. */
        if (channel.ended)
            DEMAND(error == 0 || (error == EPROTO && (channel.credentials || channel.others)));
        else
            DEMAND(error == EAGAIN);
        more = false;
    } else {
        uint8_t first = (uint8_t)(message->first + channel.taken);
        size_t taken = message->length;
        int descriptors = message->descriptors, expected;
        if (channel.type == SOCK_STREAM) {
            taken = (size_t)(queued - bytes_queued());
            DEMAND(taken > 0 && taken <= length);
            descriptors = take_from_stream(taken);
        } else {
            channel.first++;
        }
        expected = error_of(descriptors, taken, length, room);
        DEMAND(error == expected || (error == EPROTO && channel.others));
        if (error == 0) {
            DEMAND((size_t)received == taken && (fd != -1) == (descriptors == 1));
            for (size_t i = 0; i < taken; i++)
                DEMAND((uint8_t)buffer[i] == (uint8_t)(first + i));
        }
    }
    if (fd != -1)
        close(fd);
    DEMAND(open_descriptors() == channel.open);
    free(buffer);
    return more;
}

static void fuzz_channel(struct script *script)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    int open_before = open_descriptors(), ends[2];

    channel = (struct channel){
        .type = types[script_byte(script) % 3], .open = open_before + 2, .room = NO_LIMIT};
    DEMAND(socketpair(AF_UNIX, channel.type | SOCK_CLOEXEC, 0, ends) == 0);
    channel.peer = ends[0];
    channel.reader = ends[1];
    DEMAND(fcntl(channel.reader, F_SETFL, O_NONBLOCK) == 0); /* EAGAIN instead of a wait */

    for (int i = 0; i < MOST_STEPS && script_left(script) > 0; i++) {
        switch (script_byte(script) % 8) {
        case 0:
        case 1:
            peer_sends(script);
            break;
        case 2:
        case 3:
            reader_reads(length_of(script_byte(script)));
            break;
        case 4:
            channel.room = script_byte(script) % 4 - 1;
            break;
        case 5:
            reader_asks_for(script_byte(script));
            break;
        case 6:
            if (channel.peer != -1 && send(channel.reader, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
                channel.unread = true;
            break;
        case 7:
            peer_ends(script_byte(script) & 1);
            break;
        }
    }
    /* Each call takes at least one message or byte, and there are not so many. */
    for (int i = 0; reader_reads(MOST_BYTES); i++)
        DEMAND(i <= MOST_STEPS);
    if (channel.peer != -1)
        close(channel.peer);
    close(channel.reader);
    DEMAND(open_descriptors() == open_before);
}

/* ---- control bytes from the fuzzer ---- */

enum { FIRST_NUMBER = 1 << 30, MOST_NUMBERS = 64 }; /* no real descriptor has such a number */

static struct control {
    bool replaced; /* recvmsg and close are */
    struct script *script;
    ssize_t result;
    int error, flags, interruptions;
    bool malformed; /* a cmsg_len is wrong, and what its message holds is undefined */
    bool foreign;   /* there is a control message that is no SCM_RIGHTS */
    int numbers;    /* of descriptors that came */
    bool closed[MOST_NUMBERS];
} control;

/* Gives each descriptor in the control messages a number of its own. */
static void number_descriptors(char *space, size_t length)
{
    size_t offset = 0;

    while (length - offset >= sizeof(struct cmsghdr)) {
        struct cmsghdr header;
        memcpy(&header, space + offset, sizeof(header));
        if (header.cmsg_len < CMSG_LEN(0) || header.cmsg_len > length - offset) {
            control.malformed = true;
            return;
        }
        bool rights = header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_RIGHTS;
        bool pidfd = header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_PIDFD;
        control.foreign = control.foreign || !rights;
        size_t count = (header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; (rights || pidfd) && i < count; i++) {
            DEMAND(control.numbers < MOST_NUMBERS);
            int number = FIRST_NUMBER + control.numbers++;
            memcpy(space + offset + CMSG_LEN(i * sizeof(int)), &number, sizeof(number));
        }
        if (CMSG_ALIGN(header.cmsg_len) > length - offset)
            return;
        offset += CMSG_ALIGN(header.cmsg_len);
    }
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
    if (!control.replaced)
        return __real_recvmsg(fd, message, flags);

    DEMAND(flags == MSG_CMSG_CLOEXEC);
    if (control.interruptions > 0) {
        control.interruptions--;
        errno = EINTR;
        return -1;
    }
    if (control.result == -1) {
        errno = control.error;
        return -1;
    }
    size_t length = script_left(control.script);
    if (length > message->msg_controllen)
        length = message->msg_controllen;
    memcpy(message->msg_control, control.script->next, length);
    message->msg_controllen = length;
    message->msg_flags = control.flags;
    number_descriptors(message->msg_control, length);
    if (control.malformed && !malformed_lengths) {
        message->msg_controllen = 0;
        control.numbers = 0;
        control.foreign = control.malformed = false;
    }

    if ((size_t)control.result > message->msg_iov->iov_len)
        control.result = (ssize_t)message->msg_iov->iov_len;
    memset(message->msg_iov->iov_base, 'x', (size_t)control.result);
    return control.result;
}

int __wrap_close(int fd)
{
    if (!control.replaced)
        return __real_close(fd);

    int which = fd - FIRST_NUMBER;
    if (fd >= FIRST_NUMBER && which < control.numbers) {
        DEMAND(!control.closed[which]);
        control.closed[which] = true;
        return 0;
    }
    DEMAND(control.malformed); /* else it never came */
    errno = EBADF;
    return -1;
}

static void fuzz_control(struct script *script)
{
    static const int errors[] = {EAGAIN, ECONNRESET, ENOMEM, EBADF};
    static const int flags[] = {0, MSG_CTRUNC, MSG_TRUNC, MSG_CTRUNC | MSG_TRUNC, MSG_EOR};
    int fd = INT_MAX, open_before = open_descriptors();

    uint8_t how = script_byte(script);
    control = (struct control){.script = script,
                               .interruptions = how & 3,
                               .error = errors[how >> 2 & 3],
                               .result = (ssize_t)length_of(script_byte(script)) - 1,
                               .flags = flags[script_byte(script) % 5] | MSG_CMSG_CLOEXEC};
    size_t length = length_of(script_byte(script));
    char *buffer = malloc(length > 0 ? length : 1);
    DEMAND(buffer);

    control.replaced = true;
    ssize_t received = read_fd(-1, buffer, length, &fd);
    int error = errno;
    control.replaced = false;

    int truncated = control.flags & (MSG_CTRUNC | MSG_TRUNC);
    if (length == 0)
        DEMAND(received == -1 && error == EINVAL && fd == -1);
    else if (control.result == -1)
        DEMAND(received == -1 && error == control.error && fd == -1);
    else if (received == -1)
        DEMAND(fd == -1 && (error == EPROTO || error == EMFILE || error == EMSGSIZE) &&
               (truncated || control.foreign || control.malformed || control.numbers > 1 ||
                (control.numbers == 1 && control.result == 0)));
    else
        DEMAND(received == control.result && !truncated && (fd == -1 || received > 0));

    if (!control.malformed && received != -1)
        DEMAND(!control.foreign && control.numbers <= 1 &&
               fd == (control.numbers == 1 ? FIRST_NUMBER : -1));
    for (int i = 0; i < control.numbers; i++) /* each one is either returned or closed */
        DEMAND(control.closed[i] == (fd != FIRST_NUMBER + i));
    free(buffer);
    DEMAND(open_descriptors() == open_before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script = {.next = data, .end = data + size};

    if (script_byte(&script) & 1)
        fuzz_control(&script);
    else
        fuzz_channel(&script);
    return 0;
}
