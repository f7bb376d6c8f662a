"""Descriptors that travel, and who else gets at them."""
import array
import ctypes
import os
import resource
import signal
import socket
import sys
import tempfile

from experiment import (RIGHTS, CannotTry, answer_of, asleep, at_the_limit, blocked, child, expect,
                        fact, need_root, outcome, output, pipe, readable, received, rights, say,
                        wait_for)

SO_PASSCRED, SO_PASSPIDFD = 16, 76
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
SYS_CAPSET = {"x86_64": 126, "aarch64": 91, "riscv64": 91}.get(os.uname().machine)
CAPABILITY_VERSION_3, CAP_SYS_ADMIN, CAP_SYS_RESOURCE, PR_SET_KEEPCAPS = 0x20080522, 21, 24, 8
PR_SET_DUMPABLE, PR_SET_PTRACER = 4, 0x59616D61
libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


@fact("A memfd has no name, and can be opened all the same: by any process of its user, through "
      "/proc, with an offset of its own.")
def memfd_through_proc():
    fd = os.memfd_create("nameless")
    os.write(fd, b"secret")
    path = f"/proc/{os.getpid()}/fd/{fd}"
    script = f"print(open({path!r}).read())"
    expect("another process reads it from", output(sys.executable, "-c", script), "secret")
    expect("our offset after it", os.lseek(fd, 0, os.SEEK_CUR), 6)


@fact("pidfd_getfd takes a descriptor that nobody has given, from a process that one might "
      "trace; it is the same description.")
def pidfd_getfd_takes():
    read, write = os.pipe()
    os.set_inheritable(write, True)

    with child(signal.pause) as pid:
        try:
            pidfd = call(SYS_PIDFD_OPEN, pid, 0)
            taken = call(SYS_PIDFD_GETFD, pidfd, write, 0)
        except OSError as error:
            raise CannotTry(f"pidfd_getfd: {error.strerror}") from None
        say("pidfd_getfd", taken)
        expect("a byte written there, read here", (os.write(taken, b"x"), os.read(read, 1)), (1, b"x"))


def taken_by_a_child(pid, descriptor, prepare=None):
    """What pidfd_getfd of a descriptor of that process gives in a child: taken, or the error."""
    def take():
        if prepare:
            prepare()
        call(SYS_PIDFD_GETFD, call(SYS_PIDFD_OPEN, pid, 0), descriptor, 0)
        return "taken"

    return answer_of(take)


@fact("pidfd_getfd needs what ptrace needs: of a process of another user, or of one that has said "
      "by PR_SET_DUMPABLE that nobody may look into it, it is EPERM.")
def pidfd_getfd_needs_what_ptrace_needs():
    need_root("become another user")

    def nobody():
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)

    def holder(user, dumpable):
        def hold():
            if user:
                nobody()
            libc.prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0)
            libc.prctl(PR_SET_PTRACER, -1, 0, 0, 0)  # as far as Yama is asked, anybody may
            os.write(tell, b"x")
            os.read(blocked, 1)
        return hold

    answers = []
    for user, dumpable in ("nobody", 1), ("nobody", 0), (None, 1):
        with pipe() as (told, tell), child(holder(user, dumpable)) as pid:
            os.read(told, 1)
            answers.append(taken_by_a_child(pid, told, nobody))
    if answers[0] != "taken":
        raise CannotTry(f"pidfd_getfd: {answers[0]}")
    expect("of a process of the same user", answers[0], "taken")
    expect("of one that is not dumpable", answers[1], "EPERM")
    expect("of one of another user", answers[2], "EPERM")


def at_the_end(kind, option):
    """What recvmsg brings at end-of-file besides nothing."""
    left, right = socket.socketpair(socket.AF_UNIX, kind)
    try:
        right.setsockopt(socket.SOL_SOCKET, option, 1)
    except OSError as error:
        raise CannotTry(f"this kernel has no such option: {error.strerror}") from None
    left.close()
    data, control, _, _ = right.recvmsg(1, 1000)
    return data, len(control)


@fact("At end-of-file recvmsg brings a control message only on a stream with SO_PASSCRED.")
def control_message_at_end_of_file():
    expect("stream, SO_PASSCRED", at_the_end(socket.SOCK_STREAM, SO_PASSCRED), (b"", 1))
    expect("seqpacket, SO_PASSCRED", at_the_end(socket.SOCK_SEQPACKET, SO_PASSCRED), (b"", 0))
    expect("stream, SO_PASSPIDFD", at_the_end(socket.SOCK_STREAM, SO_PASSPIDFD), (b"", 0))


def on_their_way(capability):
    """What becomes of 200 descriptors that nobody receives, sent by a user who may have 64 open."""
    if capability is not None:  # permitted through the change of user, and made effective again behind it
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setresuid(65534, 65534, 65534)
    if capability is not None:
        sets = 1 << capability, 1 << capability, 0, 0, 0, 0  # effective, permitted, inheritable; twice
        call(SYS_CAPSET, (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)(*sets))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    left, _right = socket.socketpair()
    left.setblocking(False)
    for _ in range(200):
        result = outcome(left.sendmsg, [b"x"], rights(0))
        if result != 1:
            return result
    return "all"


def as_nobody(capability=None):
    """Tried in a process of its own, since there is no way back."""
    read, write = os.pipe()
    with child(lambda: os.write(write, str(outcome(on_their_way, capability)).encode())):
        return os.read(read, 100).decode()


@fact("More descriptors on their way than RLIMIT_NOFILE: ETOOMANYREFS, but not with "
      "CAP_SYS_RESOURCE or CAP_SYS_ADMIN.")
def too_many_on_their_way():
    need_root("become another user with some of its capabilities")
    if SYS_CAPSET is None:
        raise CannotTry("the number of capset is not known on this machine")
    expect("200 sent with a limit of 64", as_nobody(), "ETOOMANYREFS")
    for name, capability in ("CAP_SYS_RESOURCE", CAP_SYS_RESOURCE), ("CAP_SYS_ADMIN", CAP_SYS_ADMIN):
        answer = as_nobody(capability)
        if answer == "EPERM":  # in a container root has not got all of them
            say(f"with {name}", "not tried, since this process has not got it")
        else:
            expect(f"with {name}", answer, "all")


# ---- channels: chapter 2 -------------------------------------------------------------------------

def boundaries(kind):
    """What one read takes of three words that were sent before."""
    left, right = socket.socketpair(socket.AF_UNIX, kind)
    for word in b"one", b"two", b"three":
        left.send(word)
    return right.recv(100)


@fact("On a stream three words may come out of one read; seqpacket and dgram keep their "
      "boundaries.")
def boundaries_of_the_kinds():
    expect("stream", boundaries(socket.SOCK_STREAM), b"onetwothree")
    expect("seqpacket", boundaries(socket.SOCK_SEQPACKET), b"one")
    expect("dgram", boundaries(socket.SOCK_DGRAM), b"one")


@fact("When the other end has gone, stream and seqpacket read end-of-file; dgram does not.")
def end_of_file_of_the_kinds():
    for name, wanted in ("STREAM", b""), ("SEQPACKET", b""), ("DGRAM", "EAGAIN"):
        left, right = socket.socketpair(socket.AF_UNIX, getattr(socket, f"SOCK_{name}"))
        left.close()
        right.setblocking(False)
        expect(f"{name.lower()}: recv", outcome(right.recv, 1), wanted)


@fact("End-of-file comes when the last descriptor of the other end is closed, the reader's own "
      "copy included.")
def an_own_copy_keeps_end_of_file_away():
    left, right = socket.socketpair()
    copy = left.dup()
    left.close()
    right.setblocking(False)
    expect("recv while a copy is open", outcome(right.recv, 1), "EAGAIN")
    copy.close()
    expect("after its end", outcome(right.recv, 1), b"")


@fact("A process that is killed leaves end-of-file: the kernel closes its descriptors, however "
      "it ends.")
def a_kill_is_an_end_of_file():
    left, right = socket.socketpair()
    with child(lambda: left.recv(1)):
        left.close()
        right.settimeout(10)
    expect("recv after SIGKILL", outcome(right.recv, 1), b"")


@fact("Who closes a socketpair's end with something unread there resets it: the other reads "
      "ECONNRESET, once, before end-of-file; on a stream behind what has arrived, on seqpacket in "
      "front of it.")
def unread_data_resets_a_socketpair():
    left, right = socket.socketpair()
    right.send(b"never read")
    left.close()
    expect("recv", outcome(right.recv, 1), "ECONNRESET")
    expect("and again", outcome(right.recv, 1), b"")
    for kind, wanted in ((socket.SOCK_STREAM, [b"last", "ECONNRESET", b""]),
                         (socket.SOCK_SEQPACKET, ["ECONNRESET", b"last", b""])):
        left, right = socket.socketpair(socket.AF_UNIX, kind)
        right.send(b"never read")
        left.send(b"last")
        left.close()
        expect(f"with something queued, {kind.name}", [outcome(right.recv, 9) for _ in range(3)],
               wanted)


@fact("shutdown gives the other side end-of-file whoever has copies; closing one of several "
      "does not.")
def shutdown_asks_no_copies():
    left, right = socket.socketpair()
    _copy = left.dup()
    left.shutdown(socket.SHUT_WR)
    right.setblocking(False)
    expect("recv after shutdown, with a copy open", outcome(right.recv, 1), b"")


@fact("A pipe goes one way: its first descriptor cannot be written to, nor its second one read.")
def a_pipe_goes_one_way():
    read, write = os.pipe()
    expect("write to the first", outcome(os.write, read, b"x"), "EBADF")
    expect("read from the second", outcome(os.read, write, 1), "EBADF")


@fact("socketpair of AF_UNIX has one protocol, 0, and AF_UNIX is accepted in its place.")
def unix_sockets_have_one_protocol():
    for protocol, wanted in (0, None), (socket.AF_UNIX, None), (socket.AF_INET, "EPROTONOSUPPORT"):
        answer = outcome(socket.socketpair, socket.AF_UNIX, socket.SOCK_STREAM, protocol)
        expect(f"protocol {protocol}", answer if isinstance(answer, str) else None, wanted)


@fact("A message of seqpacket must fit into the sender's buffer (EMSGSIZE), and an empty one "
      "looks like end-of-file.")
def seqpacket_has_limits():
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    room = left.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    expect("a message as large as SO_SNDBUF", outcome(left.send, bytes(room)), "EMSGSIZE")
    left.send(b"")
    expect("recv of an empty message", outcome(right.recv, 1), b"")
    left.send(b"x")
    expect("and the other end is open", outcome(right.recv, 1), b"x")


@fact("A write to a pipe or socket that is full waits until somebody reads; non-blocking, it "
      "fails with EAGAIN.")
def a_full_pipe_makes_a_writer_wait():
    read, write = os.pipe()
    with child(lambda: [os.write(write, b"x" * 4096) for _ in range(1000)]) as pid:
        wait_for(lambda: asleep(pid), "that the writer waits")
        os.set_blocking(write, False)
        expect("write beside it", outcome(os.write, write, b"x" * 4096), "EAGAIN")
    os.close(read)


# ---- descriptors that travel: chapter 3 ----------------------------------------------------------

@fact("On a stream a control message travels beside data: without a byte nothing is sent at all.")
def no_data_no_descriptor():
    left, right = socket.socketpair()
    expect("sendmsg of no byte and a descriptor", outcome(left.sendmsg, [b""], rights(0)), 0)
    right.setblocking(False)
    expect("recvmsg", outcome(right.recvmsg, 1, 100), "EAGAIN")


@fact("What is received is a new descriptor of the same open file description: one offset for "
      "both.")
def one_offset_for_both():
    left, right = socket.socketpair()
    file = os.memfd_create("file")
    os.write(file, b"0123456789")
    os.lseek(file, 0, os.SEEK_SET)
    left.sendmsg([b"x"], rights(file))
    _, [copy], _ = received(right)
    expect("another number", copy != file, True)
    expect("read by the copy", os.read(copy, 4), b"0123")
    expect("the sender's offset", os.lseek(file, 0, os.SEEK_CUR), 4)


@fact("The message holds a reference: the sender may close at once, and the thing stays open on "
      "its way.")
def the_sender_may_close_at_once():
    left, right = socket.socketpair()
    read, write = os.pipe()
    left.sendmsg([b"x"], rights(write))
    os.close(write)
    expect("end-of-file while it is on its way", readable(read, 0.1), False)
    _, [copy], _ = received(right)
    os.write(copy, b"alive")
    expect("written through what was received", os.read(read, 10), b"alive")


@fact("A buffer for one descriptor has, on 64-bit machines, room for two, and Linux uses it.")
def room_for_two():
    if socket.CMSG_SPACE(4) != socket.CMSG_SPACE(8):
        raise CannotTry("here it has room for one")
    left, right = socket.socketpair()
    left.sendmsg([b"x"], rights(0, 0))
    _, fds, flags = received(right)
    expect("received with room for one", len(fds), 2)
    expect("MSG_CTRUNC", bool(flags & socket.MSG_CTRUNC), False)


@fact("At the receiver's limit of descriptors the byte comes, the descriptor does not, and only "
      "MSG_CTRUNC tells.")
def dropped_at_the_limit():
    left, right = socket.socketpair()
    left.sendmsg([b"x"], rights(0))
    with at_the_limit():
        data, fds, flags = received(right)
    expect("bytes and descriptors", (data, fds), (b"x", []))
    expect("MSG_CTRUNC", bool(flags & socket.MSG_CTRUNC), True)


@fact("When the limit is reached between several descriptors of a message, those that fit are "
      "opened, and MSG_CTRUNC is set.")
def as_many_as_fit():
    left, right = socket.socketpair()
    left.sendmsg([b"x"], rights(0, 0, 0))
    with at_the_limit(room=1) as lowest:
        _, fds, flags = received(right, count=3)
    expect("descriptors", fds, [lowest])
    expect("MSG_CTRUNC", bool(flags & socket.MSG_CTRUNC), True)


@fact("With CMSG_SPACE for CMSG_LEN a sender passes what lies in the padding, too: on 64-bit "
      "machines descriptor 0.")
def padding_is_a_descriptor():
    if socket.CMSG_SPACE(4) == socket.CMSG_LEN(4):
        raise CannotTry("here a number needs no padding")
    left, right = socket.socketpair()
    padding = bytes(socket.CMSG_SPACE(4) - socket.CMSG_LEN(4))
    left.sendmsg([b"x"], [(*RIGHTS, array.array("i", [1]).tobytes() + padding)])
    fds = received(right)[1]
    expect("what arrives is descriptors 1 and 0", [os.fstat(fd)[:2] for fd in fds],
           [os.fstat(fd)[:2] for fd in (1, 0)])


@fact("The receiver has its own number, the lowest that is free there, and its own "
      "close-on-exec; both share O_NONBLOCK.")
def what_is_shared_and_what_is_not():
    left, right = socket.socketpair()
    read, _write = os.pipe()  # close-on-exec, as all that Python opens
    left.sendmsg([b"x"], rights(read))
    lowest = os.dup(0)
    os.close(lowest)
    _, [copy], _ = received(right)
    expect("the lowest free number", copy, lowest)
    expect("close-on-exec", not os.get_inheritable(copy), False)
    os.set_blocking(copy, False)
    expect("O_NONBLOCK, set here, at the sender", os.get_blocking(read), False)
    left.sendmsg([b"x"], rights(read))
    _, [copy], _ = received(right, flags=socket.MSG_CMSG_CLOEXEC)
    expect("close-on-exec with MSG_CMSG_CLOEXEC", not os.get_inheritable(copy), True)


@fact("A descriptor is a barrier: a call that has received one returns no bytes from behind "
      "those that it came with.")
def a_descriptor_is_a_barrier():
    left, right = socket.socketpair()
    left.send(b"before ")
    left.sendmsg([b"with"], rights(0))
    left.sendmsg([b"next"], rights(0))
    left.send(b" behind")
    expect("first call: bytes in front come along", received(right, 100, 8)[0], b"before with")
    expect("second call: the next descriptor's, and nothing from behind them", received(right, 100, 8)[0], b"next")
    expect("third call", received(right, 100, 8)[0], b" behind")


@fact("One message carries at most 253 descriptors.")
def at_most_253():
    left, _right = socket.socketpair()
    expect("253", outcome(left.sendmsg, [b"x"], rights(*[0] * 253)), 1)
    expect("254", outcome(left.sendmsg, [b"x"], rights(*[0] * 254)), "EINVAL")


@fact("Permissions are looked at by open, and not again: who may not open a file can read it by "
      "a descriptor that was sent.")
def permissions_are_not_looked_at_again():
    need_root("become another user")
    left, right = socket.socketpair()
    answer, tell = os.pipe()
    with tempfile.NamedTemporaryFile() as file:  # for its owner only
        file.write(b"secret")
        file.flush()

        def read_as_nobody():
            os.setresuid(65534, 65534, 65534)
            by_name = outcome(os.open, file.name, os.O_RDONLY)
            _, [fd], _ = received(right)
            os.write(tell, f"{by_name} {os.pread(fd, 100, 0).decode()} {outcome(os.write, fd, b'x')}".encode())

        reader = os.open(file.name, os.O_RDONLY)
        left.sendmsg([b"x"], rights(reader))
        with child(read_as_nobody):
            expect("open by name, read and write by the descriptor", os.read(answer, 100), b"EACCES secret EBADF")
