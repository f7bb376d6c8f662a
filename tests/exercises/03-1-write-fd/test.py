"""Calls write_fd in a program of its own, and receives at the other end of the channel what it sends."""
from lesson import *

import array
import errno

FILE = tempfile.TemporaryFile()  # its descriptor is passed
WHICH_CALL = "msg_control and msg_controllen: with which call of sendmsg does the descriptor leave?"


def pattern(count):
    return bytes(i % 251 for i in range(count))


def fill(channel):
    """Sends until there is no room left. Gives how many bytes."""
    count = 0
    while True:
        try:
            count += channel.send(bytes(65536), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return count


def give(channel, count, fd, **more):
    """Starts the program, which sends `count` bytes and the descriptor `fd` (-1: none) over the channel."""
    return Attached("give", channel.fileno(), count, fd, keep=(channel, FILE), **more)


def receive(channel, most=1 << 30):
    """What can be received now, as (bytes, how many of them came before each descriptor, descriptors)."""
    data, places, came = bytearray(), [], []
    while True:
        try:
            part, controls, _, _ = channel.recvmsg(min(1 << 20 if data else 1, most - len(data)),
                                                   socket.CMSG_SPACE(64 * 4), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return bytes(data), places, came
        for level, kind, content in controls:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i", content[:len(content) // 4 * 4])
                came += numbers
                places += [len(data)] * len(numbers)
        data += part
        if not part or len(data) == most:
            return bytes(data), places, came


def result(program):
    """What write_fd returned, as (value, errno, whether fd is open in the program); None while it has not."""
    said = re.search(r"^returned (\S+) (\d+) (\S+)$", program.out(), re.MULTILINE)
    return (int(said[1]), int(said[2]), said[3]) if said else None


def over(program):
    """Whether write_fd has returned, or the program has ended."""
    return result(program) or program.status() is not None


def interrupt(program, when):
    """Waits until `when()` is true, and sees that the program gets a signal."""
    wait_until(lambda: when() or over(program))
    if program.status() is None:
        before = program.out().count("interrupted")
        os.kill(program.pid, signal.SIGUSR1)
        wait_until(lambda: program.out().count("interrupted") > before or over(program))


def held_up(program, channel):
    """Whether it sleeps, since there is no room left in the channel."""
    return "sending" in program.out() and not select.select([], [channel], [], 0)[1] and state(program.pid) == "S"


# What to look at when write_fd has failed with one of these, and need not have.
WHY = {errno.EINVAL: "cmsg_len, in which the header counts, too: CMSG_LEN in cmsg(3); and whether all members of the "
                     "msghdr are set, those too that are not used",
       **dict.fromkeys((errno.EISCONN, errno.EFAULT, errno.EMSGSIZE, errno.ENOBUFS),
                       "whether all members of the msghdr are set, those too that are not used, such as msg_name: "
                       "sendmsg(2)")}


def in_words(value, error):
    name = errno.errorcode.get(error, error)
    return f"it returned {value}" + (f" with errno {name} ({os.strerror(error)})" if value == -1 else "")


def expect_result(program, value, error=0, look=""):
    """Waits until write_fd has returned, and expects this value and errno."""
    wanted = f"write_fd to return {value}" + (f" with errno {errno.errorcode[error]}" if value == -1 else "")
    wait_until(lambda: over(program) or cpu_seconds(program.pid) > 1)
    if not result(program):
        fail(wanted, "the program " + program.how_it_ended().removesuffix("; it said:\nsending")
             if program.status() is not None else "it does not return, and uses the processor all the time"
             if cpu_seconds(program.pid) > 1 else f"it had not returned after {PATIENCE:g} seconds", look)
    got = result(program)
    if got[0] > 0 and value == 0:
        look = "fdpass.h: what does it return when all is sent?"
    elif got[0] == -1 and value == 0:
        look = WHY.get(got[1], look)
    expect(got[0] == value and (value != -1 or got[1] == error), wanted, in_words(got[0], got[1]), look)


def expect_sent(channel, count, fds, look="", skip=0):
    """Expects this many bytes, and as many descriptors of FILE with the first of them; `skip` bytes come before."""
    data, places, came = receive(channel)
    data = data[skip:]
    same = [os.path.sameopenfile(fd, FILE.fileno()) for fd in came]
    for fd in came:
        os.close(fd)
    arrived = f"{len(data)} byte{'' if len(data) == 1 else 's'} and " \
              f"{len(came)} descriptor{'' if len(came) == 1 else 's'} arrived"
    wanted = f"{count} byte{'' if count == 1 else 's'} and {fds or 'no'} descriptor to arrive"
    expect(len(data) == count, wanted, arrived, look)
    expect(data == pattern(count), "the bytes to arrive as they were sent", "they arrived changed", look)
    if len(came) > fds and count > 5:
        look = "msg_control and msg_controllen, when sendmsg is called once more for the rest"
    elif len(came) > fds:
        look = "cmsg_len: how many descriptors does the length make room for? CMSG_LEN and CMSG_SPACE in cmsg(3)"
    expect(len(came) == fds, wanted, arrived, look)
    expect(all(same), "the descriptor that arrives to be the file's", "it names another file",
           "CMSG_DATA: what is copied to it, and how many bytes?")
    expect(all(place == skip for place in places), "the descriptor to come with the first byte",
           f"it came with byte {max(places, default=0) + 1 - skip}", WHICH_CALL)


begin()
CONTROL = "the example in cmsg(3), and SCM_RIGHTS in unix(7)"

step("call write_fd with 5 bytes and the descriptor of a file")
ours, theirs = socket.socketpair()
theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
with give(theirs, 5, FILE.fileno()) as program:
    expect_result(program, 0, look=CONTROL)
    expect_sent(ours, 5, 1, look=CONTROL)
    expect(result(program)[2] == "open", "the caller to keep its descriptor", "it was closed",
           "fdpass.h: who owns fd when write_fd has returned?")

step("do the same over a channel on which each message arrives by itself: SOCK_SEQPACKET")
receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
with give(sender, 5, FILE.fileno()) as program:
    expect_result(program, 0, look=CONTROL)
    message, fds, _, _ = socket.recv_fds(receiver, 100, 4, socket.MSG_DONTWAIT)
    for fd in fds:
        os.close(fd)
    expect(len(message) == 5, "one message, with all 5 bytes", f"the first one has {len(message)}",
           "how many bytes does the first call of sendmsg get? iov_len")

step("pass descriptor 0")
with give(theirs, 1, 0, stdin=FILE) as program:
    expect_result(program, 0)
    expect_sent(ours, 1, 1, look="the test that tells whether there is a descriptor: which numbers can one have?")

step("call write_fd with 5 bytes, and -1 in the place of a descriptor")
with give(theirs, 5, -1) as program:
    expect_result(program, 0, look="the test that tells whether there is a descriptor to send")
    expect_sent(ours, 5, 0)

step("call write_fd with no byte, and the descriptor of a file")
with give(theirs, 0, FILE.fileno()) as program:
    expect_result(program, -1, errno.EINVAL, look="fdpass.h, EINVAL")
    expect_sent(ours, 0, 0)

step("call write_fd with a descriptor that is not open")
with give(theirs, 5, 99) as program:
    expect_result(program, -1, errno.EBADF, look="what sendmsg returns")
    expect_sent(ours, 0, 0)

step("call write_fd when the other end of the channel is closed")
gone, alone = socket.socketpair()
gone.close()
with give(alone, 5, FILE.fileno()) as program:
    expect_result(program, -1, errno.EPIPE, look="the flags of sendmsg: send(2) and signal(7) on SIGPIPE")
    program.wait()
    expect("SIGPIPE" not in program.out(), "SIGPIPE to have the action that it had before: it is the whole process's",
           "write_fd has changed it", "the flags of sendmsg: which is about SIGPIPE, for this one call? send(2)")

step("call write_fd while the channel is full, interrupt it by a signal, twice, and empty the channel")
junk = fill(theirs)
with give(theirs, 5, FILE.fileno()) as program:
    for _ in range(2):
        interrupt(program, when=lambda: held_up(program, theirs))
    received = 0
    while received < junk:
        received += len(ours.recv(junk - received))
    expect_result(program, 0, look="what sendmsg returns when a signal interrupts it: EINTR in signal(7)")
    expect_sent(ours, 5, 1, look="msg_control and msg_controllen, when sendmsg has returned -1: has anything left?")

SIZE = 2000000
step(f"call write_fd with {SIZE} bytes and a descriptor, and interrupt it by a signal, each time that a part is sent, "
     "and once when nothing is")
with give(theirs, SIZE, FILE.fileno()) as program:
    parts, places, came = bytearray(), [], []

    def drained(most=SIZE):
        if len(parts) >= most:
            return True
        last = over(program)  # asked before: what is not here now does not come any more
        part, at, fds = receive(ours, most - len(parts))
        places.extend(len(parts) + place for place in at)
        parts.extend(part)
        came.extend(fds)
        return len(parts) >= most or (last and not part)

    # 400000 bytes are more than the channel holds: with the last of them another call of sendmsg has begun.
    for most in (0, 400000, 400000):
        wait_until(lambda: drained(most))
        interrupt(program, when=lambda: held_up(program, theirs))
    wait_until(drained)
    for fd in came:
        os.close(fd)
    expect(len(parts) == SIZE, f"all {SIZE} bytes to arrive",
           f"{len(parts)} arrived; {in_words(*result(program)[:2]) if result(program) else 'it did not return'}",
           "what sendmsg returns, and each call that sends what is left: how many bytes has it taken? And what if it "
           "is interrupted?")
    expect(parts == pattern(SIZE), "the bytes to arrive as they were sent", "they arrived changed",
           "iov_base and iov_len, when sendmsg is called once more for the rest")
    expect(len(came) == 1, "the descriptor to arrive once", f"it arrived {len(came)} times",
           "msg_control and msg_controllen, when sendmsg is called once more for the rest")
    expect(places == [0], "the descriptor to come with the first byte", f"it came with byte {places[0] + 1}",
           WHICH_CALL)
    expect_result(program, 0)

step(f"call write_fd with {SIZE} bytes and a descriptor, and let nobody read on at the other end when a part is sent")
with give(theirs, SIZE, FILE.fileno()) as program:
    wait_until(lambda: held_up(program, theirs) or over(program))
    ours.shutdown(socket.SHUT_RD)
    expect_result(program, -1, errno.EPIPE, look="the flags of each call that sends, also of what is left: send(2) and "
                                                 "signal(7) on SIGPIPE")

step("call write_fd with a channel that is full and non-blocking")
ours, theirs = socket.socketpair()
theirs.setblocking(False)
fill(theirs)
with give(theirs, 5, FILE.fileno()) as program:
    expect_result(program, -1, errno.EAGAIN, look="fdpass.h: after which error does it go on, and which ones does it "
                                                  "return?")
passed()
