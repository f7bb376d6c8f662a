#!/usr/bin/env python3
"""Test of common/lab/strace.py: who is who in a trace, what is shown of it, and how lines fit."""
import os
import pathlib
import sys
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path[:0] = [str(tap.ROOT / "common/lab"), str(tap.ROOT / "common/report")]
import chapters  # noqa: E402
import strace  # noqa: E402

SENT = ('sendmsg(5, {msg_iov=[{iov_base="\\0", iov_len=1}], msg_control=[{cmsg_level=SOL_SOCKET, '
        'cmsg_type=SCM_RIGHTS, cmsg_data=[7]}]}, MSG_NOSIGNAL) = 1')


def fitted(width, call):
    with unittest.mock.patch.dict(os.environ, {"COLUMNS": str(width)}):
        return strace.fitted("master", call).splitlines()


def test_a_call_that_fits_is_shown_whole():
    tap.equal(fitted(160, SENT), ["master   " + SENT])
    tap.equal(fitted(80, "close(5) = 0"), ["master   close(5) = 0"])


def test_of_a_message_that_does_not_the_descriptor_is_shown():
    tap.equal(fitted(80, SENT),
              ["master   sendmsg(5, {... SCM_RIGHTS, cmsg_data=[7]}, MSG_NOSIGNAL) = 1"])


def test_a_signal_is_shown_by_its_name():
    tap.equal(strace.short('read(3, "\\21\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0,\\"\\0\\0"..., 128) = 128'),
              "read(3, {SIGCHLD}, 128) = 128")
    tap.equal(strace.short('read(3, "", 1)  = 0'), 'read(3, "", 1) = 0')


def test_what_still_does_not_goes_on_in_the_next_line():
    call = 'execve("/a/path/of/some/length/to/a/worker", ["/a/path/of/some/length/to"...]) = 0'
    lines = fitted(80, call)
    tap.equal(lines, ['master   execve("/a/path/of/some/length/to/a/worker",',
                      '             ["/a/path/of/some/length/to"...]) = 0'])


REPORT = ('recvmsg(5, {msg_iov=[{iov_base="\\0", iov_len=1}], msg_control=[{cmsg_level=SOL_SOCKET, '
          'cmsg_type=SCM_CREDENTIALS, cmsg_data={pid=4194303, uid=0, gid=0}}]}, '
          'MSG_DONTWAIT|MSG_CMSG_CLOEXEC) = 1')


def test_of_a_report_who_has_sent_it_is_shown():
    tap.equal(fitted(80, REPORT),
              ["master   recvmsg(5, {... SCM_CREDENTIALS, pid=4194303}, ...) = 1"])


def test_what_explains_an_error_or_means_nothing_goes_before_a_line_is_broken():
    calls = {"recvmsg(6, {...}, MSG_CMSG_CLOEXEC) = ? ERESTARTSYS (To be restarted if SA_REST"
             "ART is set)":
             "recvmsg(6, {...}, MSG_CMSG_CLOEXEC) = ? ERESTARTSYS",
             "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, IPPROTO_IP) = 10":
             "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0) = 10",
             'sendto(7, "cA\\0\\0\\10\\0\\0\\0D\\3\\2\\0", 16, MSG_DONTWAIT|MSG_OOB, NULL, 0) = 16':
             'sendto(7, "cA\\0\\0\\10\\0\\0\\0D\\3\\2\\0", 16, MSG_DONTWAIT|MSG_OOB, ...) = 16'}
    for call, line in calls.items():
        tap.equal(fitted(80, call), ["master   " + line])
        tap.equal(fitted(160, call), ["master   " + call])


# A chief that tries something out, and then starts two hands and an ear.
TRACE = """\
10 execve("server", ["server"], 0x7ffe /* 37 vars */) = 0
10 clone(child_stack=NULL, flags=SIGCHLD) = 11
11 exit_group(0)                     = ?
11 +++ exited with 0 +++
10 clone(child_stack=NULL, flags=SIGCHLD) = 12
12 +++ killed by SIGKILL +++
10 socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC, 0, [5, 6]) = 0
10 clone(child_stack=NULL, flags=SIGCHLD) = 13
10 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
14 prctl(PR_SET_PDEATHSIG, SIGKILL)  = 0
10 <... clone resumed>)              = 14
14 prctl(PR_SET_NAME, "ear") = 0
10 clone(child_stack=NULL, flags=SIGCHLD) = 15
15 prctl(PR_SET_NAME, "nobody") = 0
15 epoll_wait(4,  <unfinished ...>
13 recvmsg(6,  <unfinished ...>
15 sendto(6, "\\0", 1, MSG_NOSIGNAL, NULL, 0) = 1
10 recvmsg(5, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="\\0", iov_len=1}], msg_iovlen=1, \
msg_control=[{cmsg_len=28, cmsg_level=SOL_SOCKET, cmsg_type=SCM_CREDENTIALS, \
cmsg_data={pid=15, uid=0, gid=0}}], msg_controllen=32, msg_flags=MSG_CMSG_CLOEXEC}, \
MSG_DONTWAIT|MSG_CMSG_CLOEXEC) = 1
10 recvmsg(5, {msg_namelen=0}, MSG_DONTWAIT|MSG_CMSG_CLOEXEC) = -1 EAGAIN (Resource temporarily \
unavailable)
10 epoll_wait(7, [], 1, 0)              = 0
10 write(14, "listening on 127.0.0"..., 40) = 40
14 accept4(4, NULL, NULL, SOCK_CLOEXEC) = 3
14 sendmsg(5, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="\\0", iov_len=1}], msg_iovlen=1, \
msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3]}], \
msg_controllen=24, msg_flags=0}, MSG_NOSIGNAL) = 1
13 <... recvmsg resumed>{msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="\\0", iov_len=1}], \
msg_iovlen=1, msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, \
cmsg_data=[9]}], msg_controllen=24, msg_flags=MSG_CMSG_CLOEXEC}, MSG_CMSG_CLOEXEC) = 1
14 close(3)                             = 0
15 <... epoll_wait resumed>[{events=EPOLLIN, data={u32=0, u64=0}}], 1, -1) = 1
15 pidfd_open(14, 0)                    = 8
15 pidfd_getfd(8, 3, 0)                 = 6
15 close(6)                             = 0
13 close(9)                             = 0
13 recvmsg(6, {msg_namelen=0}, MSG_CMSG_CLOEXEC) = -1 EAGAIN (Resource temporarily unavailable)
10 +++ exited with 0 +++
"""
STORY = """\
chief       clone(flags=SIGCHLD) = 11, which is helper 1
helper 1    exit_group(0) = ?
chief       clone(flags=SIGCHLD) = 12, which is helper 2
chief       socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC, 0, [5, 6]) = 0
chief       clone(flags=SIGCHLD) = 13, which is hand 1
chief       clone(flags=SIGCHLD) = 14, which is ear
ear         prctl(PR_SET_NAME, "ear") = 0
chief       clone(flags=SIGCHLD) = 15, which is hand 2
hand 2      sendto(6, "\\0", 1, MSG_NOSIGNAL, NULL, 0) = 1
chief       recvmsg(5, {... SCM_CREDENTIALS, pid=15}, ...) = 1, of hand 2
ear         accept4(4, NULL, NULL, SOCK_CLOEXEC) = 3
ear         sendmsg(5, {... SCM_RIGHTS, cmsg_data=[3]}, MSG_NOSIGNAL) = 1
hand 1      recvmsg(6, {... SCM_RIGHTS, cmsg_data=[9]}, MSG_CMSG_CLOEXEC) = 1
ear         close(3) = 0
hand 2      epoll_wait(4, [{events=EPOLLIN, data={u32=0, u64=0}}], 1, -1) = 1
hand 2      pidfd_getfd(8, 3, 0) = 6, out of ear
hand 2      close(6) = 0
hand 1      close(9) = 0
hand 1      recvmsg(6, {...}, MSG_CMSG_CLOEXEC) = -1 EAGAIN
"""


def test_who_calls_is_known_before_it_has_called_itself_so():
    with unittest.mock.patch.dict(os.environ, {"COLUMNS": "80"}):
        calls = strace.joined(TRACE)
        reader = strace.Reader(chapters.Roles("chief", "hand {}", ("ear", "long winded")), calls)
        lines = [line for pid, call in calls if (line := reader.line(pid, call))]
    tap.equal(lines, STORY.splitlines())


tap.run(vars())
