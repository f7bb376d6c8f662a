"""Sends to a program of its own what it receives by read_fd, and more than anybody asked for."""
from lesson import *

import errno

FILE = tempfile.TemporaryFile()  # its descriptor is passed
EMPTY = "what is done when recvmsg returns 0: a packet of 0 bytes can bring a descriptor, too. " \
        "fdpass.h: when is *fd -1?"
CONTROL = "the example in cmsg(3), and SCM_RIGHTS in unix(7)"


def take(channel, count, *room, **more):
    """Starts the program, which receives up to `count` bytes and a descriptor from the channel."""
    return Attached("take", channel.fileno(), count, *room, keep=[channel], **more)


class Result:
    """What read_fd returned: .count .errno .fd, .data; and .opened, [(number, is FILE, flag)], what is open since."""

    def __init__(self, program, look):
        wait_until(lambda: program.status() is not None or cpu_seconds(program.pid) > 1)
        if program.status() is None and cpu_seconds(program.pid) > 1:
            fail("read_fd to return", "it does not, and uses the processor all the time", look)
        said = re.search(r"^returned (\S+) (\d+) (\S+) (\w*)$", program.out(), re.MULTILINE)
        if not said:
            fail("read_fd to return", "the program " + program.how_it_ended().removesuffix("; it said:\nreceiving"), look)
        self.count, self.errno, self.fd, self.data = int(said[1]), int(said[2]), int(said[3]), bytes.fromhex(said[4])
        wanted = os.fstat(FILE.fileno())
        opened = re.findall(r"^opened (\d+) (\d+) (\d+) (\S+)$", program.out(), re.MULTILINE)
        self.opened = [(int(number), (int(device), int(inode)) == (wanted.st_dev, wanted.st_ino), flag)
                       for number, device, inode, flag in opened]
        closed = re.findall(r"^closed (\d+)$", program.out(), re.MULTILINE)
        expect(not closed, "read_fd to close nothing that was open before", lambda: f"it closed descriptor {closed[0]}",
               look)

    def __str__(self):
        name = errno.errorcode.get(self.errno, self.errno)
        text = f"it returned {self.count}"
        if self.count == -1:
            text += f" with errno {name} ({os.strerror(self.errno)})"
        if self.fd == -2:
            text += ", and *fd was as before"
        elif self.fd != -1 and self.fd not in [number for number, _, _ in self.opened]:
            text += f", and *fd was {self.fd}, which is no open descriptor"
        elif self.fd != -1:
            text += f", and *fd was {self.fd}"
        if len(self.opened) > (self.fd >= 0):
            text += f"; {len(self.opened)} more {'is' if len(self.opened) == 1 else 'are'} open since"
        return text


def expect_message(program, data, fds, look):
    """Expects read_fd to deliver these bytes, with FILE or (`fds` 0) without a descriptor."""
    result = Result(program, look)
    expect(result.count == len(data), f"read_fd to return {len(data)}", str(result), look)
    expect(result.data == data, f"the {len(data)} bytes that were sent", f"others: {result.data!r}", look)
    if fds == 0:
        expect(result.fd == -1, "*fd to be -1, since no descriptor came", str(result),
               "what *fd is when there is no control message")
        return result
    expect(result.fd >= 0, "*fd to be the descriptor that came", f"{result}, and *fd was {result.fd}", look)
    same = [is_file for number, is_file, _ in result.opened if number == result.fd]
    expect(same == [True], "*fd to be the descriptor that came", str(result), "what is copied out of CMSG_DATA")
    return result


def expect_error(program, error, look, meaning):
    """Expects read_fd to fail with this errno, with *fd -1 and nothing left open."""
    result = Result(program, look)
    wanted = f"read_fd to return -1 with errno {errno.errorcode[error]}{meaning}"
    if result.count >= 0:
        look = f"fdpass.h, {errno.errorcode[error]}: this is an error, also when all is closed. " \
               f"And {look}"
    elif result.errno == errno.EXDEV:  # so says the close of driver.c
        look = "errno, and what is called after it was set: close may change it, also when it succeeds"
    expect(result.count == -1 and result.errno == error, wanted, str(result), look)
    expect(result.fd == -1, "*fd to be -1 after an error", str(result), "fdpass.h: what is *fd on every error?")
    expect_closed(result, 0, look)


def expect_closed(result, fds, look):
    """Expects that read_fd has left this many descriptors open."""
    expect(len(result.opened) == fds, f"{fds or 'no'} descriptor more to be open than before", str(result), look)


begin()
ours, theirs = socket.socketpair()

step("send 5 bytes and a descriptor")
socket.send_fds(ours, [WORD], [FILE.fileno()])
with take(theirs, 64) as program:
    result = expect_message(program, WORD, 1, look=CONTROL)
    expect_closed(result, 1, look="what came is opened once: who opens it again?")
    expect(result.opened[0][2] == "close-on-exec", "the descriptor to be close-on-exec", "it survives exec",
           "the flags in recvmsg(2)")
    expect("without MSG_CMSG_CLOEXEC" not in program.out(), "the descriptor to be close-on-exec from the first moment",
           "it is so a moment later: meanwhile another thread may fork and exec", "the flags in recvmsg(2)")

step("send 5 bytes and no descriptor")
ours.send(WORD)
with take(theirs, 64) as program:
    expect_message(program, WORD, 0, look="what is there to be copied when CMSG_FIRSTHDR gives NULL?")

step("close the other end of a channel")
end, other_end = socket.socketpair()
end.close()
with take(other_end, 64) as program:
    expect_message(program, b"", 0, look="what recvmsg returns at end-of-file")

step("send 5 bytes of which read_fd is asked for 2, and a descriptor, and call read_fd twice")
socket.send_fds(ours, [WORD], [FILE.fileno()])
with take(theirs, 2) as program:
    expect_message(program, WORD[:2], 1, look=CONTROL)
with take(theirs, 64) as program:
    expect_message(program, WORD[2:], 0, look=CONTROL)

step("call read_fd while the channel is empty, interrupt it by a signal, twice, then send 5 bytes and a descriptor")
with take(theirs, 64) as program:
    for times in 1, 2:
        wait_until(lambda: program.status() is not None or "receiving" in program.out() and state(program.pid) == "S")
        if program.status() is None:
            os.kill(program.pid, signal.SIGUSR1)
            wait_until(lambda: program.status() is not None or program.out().count("interrupted") == times)
    socket.send_fds(ours, [WORD], [FILE.fileno()])
    expect_message(program, WORD, 1, look="what recvmsg returns when a signal interrupts it: EINTR in signal(7)")

step("ask read_fd for no byte, while 5 bytes and a descriptor have arrived")
socket.send_fds(ours, [WORD], [FILE.fileno()])
with take(theirs, 0) as program:
    expect_error(program, errno.EINVAL, "fdpass.h: EINVAL", ", for 0 bytes would look like end-of-file")
with take(theirs, 64) as program:
    expect_message(program, WORD, 1, look="fdpass.h: EINVAL. With 0 bytes, nothing is to be received")

for count in 2, random.randint(3, 30):
    step(f"send {count} descriptors in one message")
    socket.send_fds(ours, [WORD], [FILE.fileno()] * count)
    with take(theirs, 64) as program:
        expect_error(program, errno.EPROTO, "cmsg_len, and how many descriptors CMSG_SPACE(sizeof(int)) has room for "
                     "on a 64-bit machine; and MSG_CTRUNC in recvmsg(2)", ", and to close what nobody asked for")

step("send a descriptor to a process at its limit of descriptors")
socket.send_fds(ours, [WORD], [FILE.fileno()])
with take(theirs, 64, 0) as program:
    expect_error(program, errno.EMFILE, "msg_flags after recvmsg, MSG_CTRUNC; unix(7) on RLIMIT_NOFILE", "")

step("send 5 bytes alone to a process at its limit of descriptors")
ours.send(WORD)
with take(theirs, 64, 0) as program:
    expect_message(program, WORD, 0, look="msg_flags after recvmsg, MSG_CTRUNC: is it set?")

step("set SO_PASSCRED, so that the message brings the sender's process and user id")
theirs.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
ours.send(WORD)
with take(theirs, 64) as program:
    expect_error(program, errno.EPROTO, "cmsg_type, before what came is called a descriptor: SCM_CREDENTIALS in "
                 "unix(7)", "")

step("send a descriptor while SO_PASSCRED is set: two control messages come, and the descriptor is in the second")
socket.send_fds(ours, [WORD], [FILE.fileno()])
with take(theirs, 64) as program:
    expect_error(program, errno.EPROTO, "CMSG_NXTHDR in cmsg(3): the buffer may hold more than one control message",
                 ", and to close what nobody asked for")
theirs.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)

step("send a packet that is longer than read_fd is asked for, with a descriptor (SOCK_SEQPACKET)")
sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
socket.send_fds(sender, [WORD], [FILE.fileno()])
with take(receiver, 2) as program:
    expect_error(program, errno.EMSGSIZE, "msg_flags after recvmsg, MSG_TRUNC", ", and to close the descriptor")

step("send an empty packet with a descriptor (SOCK_SEQPACKET)")
socket.send_fds(sender, [b""], [FILE.fileno()])
with take(receiver, 64) as program:
    result = Result(program, EMPTY)
    expect_closed(result, max(result.fd >= 0, 0), EMPTY)
    expect(result.fd == -1, "*fd to be -1, since 0 bytes look like end-of-file", str(result), EMPTY)

step("call read_fd with a channel that is empty and non-blocking")
receiver.setblocking(False)
with take(receiver, 64) as program:
    expect_error(program, errno.EAGAIN, "fdpass.h: after which error does it go on, and which ones does it return?", "")
passed()
