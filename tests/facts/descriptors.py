"""Descriptors that travel, and who else gets at them."""
import array
import ctypes
import os
import resource
import socket
import sys

from experiment import CannotTry, child, expect, fact, need_root, outcome, output, say

SO_PASSCRED, SO_PASSPIDFD = 16, 76
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
SYS_CAPSET = {"x86_64": 126, "aarch64": 91, "riscv64": 91}.get(os.uname().machine)
CAPABILITY_VERSION_3, CAP_SYS_ADMIN, CAP_SYS_RESOURCE, PR_SET_KEEPCAPS = 0x20080522, 21, 24, 8
libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


@fact("A memfd has no name, and can be opened all the same: by any process of its user, through /proc, with an offset of its own.")
def memfd_through_proc():
    fd = os.memfd_create("nameless")
    os.write(fd, b"secret")
    path = f"/proc/{os.getpid()}/fd/{fd}"
    script = f"print(open({path!r}).read())"
    expect("another process reads it from", output(sys.executable, "-c", script), "secret")
    expect("our offset after it", os.lseek(fd, 0, os.SEEK_CUR), 6)


@fact("pidfd_getfd takes a descriptor that nobody has given, from a process that one might trace; it is the same description.")
def pidfd_getfd_takes():
    read, write = os.pipe()
    os.set_inheritable(write, True)

    def hold():
        os.read(read, 1)

    with child(hold) as pid:
        try:
            pidfd = call(SYS_PIDFD_OPEN, pid, 0)
            taken = call(SYS_PIDFD_GETFD, pidfd, write, 0)
        except OSError as error:
            raise CannotTry(f"pidfd_getfd: {error.strerror}") from None
        say("pidfd_getfd", taken)
        expect("a byte written there, read here", (os.write(taken, b"x"), os.read(read, 1)), (1, b"x"))


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
    message = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))]
    for _ in range(200):
        result = outcome(left.sendmsg, [b"x"], message)
        if result != 1:
            return result
    return "all"


def as_nobody(capability=None):
    """Tried in a process of its own, since there is no way back."""
    read, write = os.pipe()
    with child(lambda: os.write(write, str(outcome(on_their_way, capability)).encode())):
        return os.read(read, 100).decode()


@fact("More descriptors on their way than RLIMIT_NOFILE: ETOOMANYREFS, but not with CAP_SYS_RESOURCE or CAP_SYS_ADMIN.")
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
