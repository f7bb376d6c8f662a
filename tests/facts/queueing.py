"""One channel that several read: what waits in it, who is woken, what one does to the others."""
import contextlib
import ctypes
import fcntl
import os
import re
import select
import signal
import socket
import struct
import termios

from experiment import (SECONDS, answer_of, asleep, at_the_limit, blocked, child, connected, expect,
                        expect_between, fact, listener, outcome, pipe, readable, received, rights,
                        say, state, wait_for, waiter)

SIOCOUTQ, SO_PASSCRED, SO_COOKIE, PR_SET_NAME = 0x5411, 16, 57, 15
libc = ctypes.CDLL(None, use_errno=True)


def queue(length=None):
    """A socketpair of SOCK_SEQPACKET; its first end takes so many small messages."""
    first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if length:
        first.send(b"x")
        size = asked(first, SIOCOUTQ)
        second.recv(1)
        first.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, length * size // 2)
    return first, second


def asked(end, request):
    """A number that ioctl says of a socket."""
    return struct.unpack("i", fcntl.ioctl(end, request, bytes(4)))[0]


@contextlib.contextmanager
def several(context, *arguments, number=3):
    """So many of a context, as a list."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(context(*arguments)) for _ in range(number)]


@contextlib.contextmanager
def taker(second):
    """A child that takes message after message: its number; a byte can be read for each."""
    def take():
        while second.recv(1):
            os.write(tell, b"x")

    with pipe() as (told, tell), child(take) as pid:
        wait_for(lambda: asleep(pid), "that it waits")
        yield pid, told


def who_took(takers):
    """Which of these have taken a message; they wait for the next again."""
    took = select.select([told for _, told in takers], [], [], SECONDS)[0]
    for told in took:
        os.read(told, 1)
    for pid, told in takers:
        if told in took:
            wait_for(lambda waits=pid: asleep(waits), "that it waits again")
    return [number for number, (_, told) in enumerate(takers) if told in took]


def switches(pid):
    """How often a process has gone to sleep."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status.read(), re.M)[1])


# ---- what waits ----------------------------------------------------------------------------------

@fact("A message of one byte counts for some hundreds among what its sender may have on the way"
      " (SIOCOUTQ; 768 on Linux 6.18 and x86-64), and SO_SNDBUF of n/2 of these lets n in, "
      "since the kernel doubles it.")
def a_message_of_a_byte_counts_for_hundreds():
    first, _second = queue()
    first.send(b"x")
    size = asked(first, SIOCOUTQ)
    expect_between("SIOCOUTQ after one byte", size, 100, 10000)
    for length in 16, 40:
        first, _second = queue(length)
        first.setblocking(False)
        sent = 0
        while sent < 2 * length and outcome(first.sendmsg, [b"x"], rights(0)) == 1:
            sent += 1
        expect(f"with SO_SNDBUF of {length // 2} times that: messages with a descriptor", sent,
               length)
        expect("one more", outcome(first.send, b"x"), "EAGAIN")


@fact("FIONREAD at a seqpacket socket says how many bytes all messages there have: how many "
      "messages, where each has one.")
def fionread_counts_the_messages():
    first, second = queue()
    for sent in range(4):
        expect(f"FIONREAD after {sent} messages of a byte", asked(second, termios.FIONREAD), sent)
        first.sendmsg([b"x"], rights(0))
    second.recv(1)
    expect("when one was taken", asked(second, termios.FIONREAD), 3)


@fact("Who sends to a full queue sleeps until three quarters of it are free again, not until a "
      "message is taken; if it is killed, the others stay in the queue.")
def a_full_queue_lets_in_more_when_a_quarter_is_left():
    first, second = queue(16)

    def there():
        return asked(second, termios.FIONREAD)

    def send():
        while True:
            first.send(b"x")

    with child(send) as pid:
        wait_for(lambda: asleep(pid) and there() == 16, "that it is full, and the sender waits")
        before = switches(pid)
        second.recv(1)
        expect("one was taken: is the sender woken", (switches(pid) > before, there()), (False, 15))
        for _ in range(10):
            second.recv(1)
        expect("five are left: is it woken", (switches(pid) > before, there()), (False, 5))
        for _ in range(2):
            second.recv(1)
        wait_for(lambda: there() == 16, "that it is full again, when three were left")
    expect("when the sender was killed, in the queue are", there(), 16)


@fact("What a message carries stays open though its sender has died, and whoever waited for it:"
      " as long as anybody has the end where it waits.")
def a_queue_outlives_its_senders_and_readers():
    (client, server, _), (first, second) = connected(), queue()
    with taker(second) as (pid, _):
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: state(pid) == "Z", "that who waited dies")
    with child(lambda: first.sendmsg([b"x"], rights(server.fileno()))) as pid:
        wait_for(lambda: state(pid) == "Z", "that the sender dies")
    server.close()
    client.send(b"are you there?")
    expect("readable at the client", readable(client, 0), False)
    _, [copy], _ = received(second)
    expect("read by who takes it", os.read(copy, 100), b"are you there?")
    os.close(copy)
    expect("recv at the client when that has closed it", outcome(client.recv, 1), b"")


@fact("When both ends of a queue are closed, so is what waits in it.")
def what_waits_is_closed_with_its_queue():
    (client, server, _), (first, second) = connected(), queue()
    first.sendmsg([b"x"], rights(server.fileno()))
    server.close()
    first.close()
    expect("the end of who sends is closed; readable at the client", readable(client, 0), False)
    second.close()
    expect("the other, too; recv at the client", outcome(client.recv, 1), b"")


@fact("Who reads a message without room for a control message closes the descriptor in it: "
      "MSG_CTRUNC.")
def a_message_read_without_room_closes_its_descriptor():
    (client, server, _), (first, second) = connected(), queue()
    first.sendmsg([b"x"], rights(server.fileno()))
    server.close()
    data, _, flags, _ = second.recvmsg(1)
    expect("recvmsg", (data, bool(flags & socket.MSG_CTRUNC)), (b"x", True))
    expect("recv at the client", outcome(client.recv, 1), b"")


@fact("A message whose descriptor finds no room in its receiver's table is gone: nobody else "
      "gets it, and what it carried is closed.")
def a_full_table_loses_the_message():
    (client, server, _), (first, second) = connected(), queue()
    first.sendmsg([b"x"], rights(server.fileno()))
    server.close()
    with at_the_limit():
        expect("received at the limit", received(second)[:2], (b"x", []))
    second.setblocking(False)
    expect("received again, with room", outcome(received, second), "EAGAIN")
    expect("recv at the client", outcome(client.recv, 1), b"")


@fact("When nobody can send any more, readers get what is in the queue first, and then all of "
      "them end-of-file.")
def end_of_file_comes_behind_what_waits():
    first, second = queue()
    for _ in range(2):
        first.send(b"x")
    first.close()
    expect("recv, three times", [second.recv(1) for _ in range(3)], [b"x", b"x", b""])
    first, second = queue()
    with several(waiter, lambda: (first.close(), second.recv(1))) as three:
        first.close()
        expect("three who wait get end-of-file", [readable(told) for _, told in three], [True] * 3)


# ---- who is woken --------------------------------------------------------------------------------

@fact("Of those who wait in recv at one seqpacket socket a message wakes one: who has waited "
      "longest.")
def who_has_waited_longest_gets_the_message():
    first, second = queue()
    with several(taker, second) as takers:
        order = []
        for _ in range(6):
            first.send(b"x")
            order += who_took(takers)
        expect("six messages, one by one, are taken by", order, [0, 1, 2, 0, 1, 2])


@fact("A message wakes one of those who wait in recv, and all of those who wait in poll or "
      "select.")
def a_message_wakes_one_in_recv_and_all_in_poll():
    first, second = queue()
    with several(taker, second) as takers:
        before = [switches(pid) for pid, _ in takers]
        first.send(b"x")
        expect("taken by", who_took(takers), [0])
        after = [switches(pid) for pid, _ in takers]
        expect("in recv: woken", [new > old for new, old in zip(after, before)],
               [True, False, False])

    def in_poll():
        waiting = select.poll()
        waiting.register(second, select.POLLIN)
        waiting.poll()

    with several(waiter, in_poll) as three:
        first.send(b"x")
        expect("in poll: woken", [readable(told) for _, told in three], [True] * 3)


@fact("A signal takes a process out of those who wait in recv: while it is stopped messages go "
      "to others, and when it goes on it is the last.")
def who_is_stopped_in_recv_gets_no_message():
    first, second = queue()
    with several(taker, second) as takers:
        stopped, _ = takers[0]
        os.kill(stopped, signal.SIGSTOP)
        wait_for(lambda: state(stopped) == "T", "that the first is stopped")
        first.send(b"x")
        expect("while the first is stopped, a message is taken by", who_took(takers), [1])
        os.kill(stopped, signal.SIGCONT)
        wait_for(lambda: asleep(stopped), "that it waits again")
        order = []
        for _ in range(3):
            first.send(b"x")
            order += who_took(takers)
        expect("when it goes on, three messages are taken by", order, [2, 1, 0])


@contextlib.contextmanager
def exclusive_taker(second):
    """As taker, in epoll_wait with EPOLLEXCLUSIVE; after a message it waits to be told: go on."""
    def take():
        instance = select.epoll()
        instance.register(second, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        while True:
            os.write(tell, b"r")
            instance.poll()
            second.recv(1)
            os.write(tell, b"x")
            os.read(go, 1)

    def wait():
        expect("a worker is ready", os.read(told, 1), b"r")
        wait_for(lambda: asleep(pid), "that it waits")

    with pipe() as (told, tell), pipe() as (go, on), child(take) as pid:
        wait()
        yield told, lambda: (os.write(on, b"x"), wait())


@fact("Of those who wait in epoll_wait for one socket with EPOLLEXCLUSIVE, each in an instance "
      "of its own, a message wakes the one who has registered first: again and again the same, "
      "while it is idle.")
def epoll_exclusive_wakes_who_registered_first():
    first, second = queue()

    def taken_by():
        first.send(b"x")
        ready = select.select([told for told, _ in takers], [], [], SECONDS)[0]
        numbers = [number for number, (told, _) in enumerate(takers) if told in ready]
        for number in numbers:
            os.read(takers[number][0], 1)
        return numbers

    with several(exclusive_taker, second) as takers:
        expect("a message is taken by", taken_by(), [0])
        expect("while that is busy, by", taken_by(), [1])
        takers[0][1]()
        expect("when the first waits again, by", taken_by(), [0])
        takers[0][1]()
        expect("and again", taken_by(), [0])


@fact("An epoll instance watches an open file description: when a descriptor that was added has"
      " been passed on and closed, it is reported as before, and cannot be removed.")
def an_epoll_registration_survives_passing_and_closing():
    (client, server, _), (first, second), instance = connected(), queue(), select.epoll()
    number = server.fileno()
    instance.register(number, select.EPOLLIN)
    first.sendmsg([b"x"], rights(number))
    server.close()
    expect("EPOLL_CTL_DEL when it is closed here", outcome(instance.unregister, number), "EBADF")
    with waiter(lambda: (received(second), os.read(blocked, 1))):  # who has it, and does not read
        client.send(b"x")
        expect("events all the same", instance.poll(SECONDS), [(number, select.EPOLLIN)])
    wait_for(lambda: not instance.poll(0), "that nothing is reported when the last has closed it")


# ---- what one can do to the others ---------------------------------------------------------------

@fact("shutdown of an end that several have is for all of them: they get what waits, then end-"
      "of-file, and who sends to them EPIPE.")
def shutdown_of_a_shared_end_is_everybodys():
    first, second = queue()
    with several(waiter, lambda: second.recv(1), number=2) as two:
        expect("shutdown in a child", answer_of(second.shutdown, socket.SHUT_RDWR), "None")
        expect("two others, who waited, go on", [readable(told) for _, told in two], [True] * 2)
    expect("send", outcome(first.send, b"x"), "EPIPE")
    first, second = queue()
    first.send(b"x")
    answer_of(second.shutdown, socket.SHUT_RDWR)
    expect("what had been sent before, and recv again", (second.recv(1), second.recv(1)),
           (b"x", b""))


@fact("O_NONBLOCK belongs to the open file description: one process sets it for all who share "
      "the end; who sleeps in recv already sleeps on.")
def o_nonblock_of_a_shared_end_is_everybodys():
    first, second = queue()
    with taker(second) as (pid, told):
        def set_it():
            fcntl.fcntl(second, fcntl.F_SETFL, fcntl.fcntl(second, fcntl.F_GETFL) | os.O_NONBLOCK)

        expect("O_NONBLOCK, set in a child", answer_of(set_it), "None")
        expect("recv in the parent", outcome(os.read, second.fileno(), 1), "EAGAIN")
        expect("who sleeps in recv since before", asleep(pid), True)
        first.send(b"x")
        expect("gets the next message", readable(told), True)


@fact("With SO_PASSCRED the kernel says with each message which process has sent it, also where"
      " all send by one socket; to say something else takes a privilege: EPERM. SO_PEERCRED "
      "says who made the socketpair.")
def the_kernel_says_who_sends():
    first, second = queue()
    first.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)

    def sender():
        data, control, _, _ = first.recvmsg(1, socket.CMSG_SPACE(12))
        return data, struct.unpack("3i", control[0][2])[0]

    def forge():
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        credentials = struct.pack("3i", os.getppid(), os.getuid(), os.getgid())
        message = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)]
        return outcome(second.sendmsg, [b"f"], message)

    for message in b"1", b"2":
        with child(lambda sent=message: second.send(sent)) as pid:
            expect("said of a child's message: is it the child", sender() == (message, pid), True)
    peer = first.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    expect("SO_PEERCRED: is it this process", struct.unpack("3i", peer)[0] == os.getpid(), True)
    expect("a child says that it is its parent", answer_of(forge), "EPERM")


# ---- what connections are born with, and names ---------------------------------------------------

@fact("A time limit that is set on a listener, SO_RCVTIMEO, is its connections', too.")
def so_rcvtimeo_is_inherited_by_accepted_connections():
    at = listener()
    for limit in struct.pack("ll", 7, 0), struct.pack("ll", 0, 0):
        at.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        with socket.create_connection(at.getsockname(), timeout=SECONDS):
            number, _ = at._accept()  # accept itself, and no more
            with socket.socket(fileno=number) as server:
                got = server.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, len(limit))
                expect("at a connection, when the listener has " + str(struct.unpack("ll", limit)),
                       struct.unpack("ll", got), struct.unpack("ll", limit))


@fact("SO_COOKIE names a socket: by whichever descriptor and process it is asked, and no other "
      "has the same, though it may have the same number.")
def a_cookie_names_a_socket():
    def cookie(end):
        return end.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8)

    client, server, _ = connected()
    number, name = server.fileno(), cookie(server)
    with server.dup() as copy:
        expect("by a copy of the descriptor, the same", cookie(copy) == name, True)
    expect("in a child, the same", answer_of(lambda: cookie(server) == name), "True")
    server.close()
    with socket.socket(socket.AF_INET) as another:
        expect("another socket has the number", another.fileno(), number)
        expect("and another cookie", cookie(another) != name, True)
    client.close()


@fact("What a process calls itself by PR_SET_NAME stands in /proc/PID/comm, 15 letters at most,"
      " and not on its command line.")
def a_name_of_prctl_stands_in_comm():
    def name():
        libc.prctl(PR_SET_NAME, b"acceptor-of-a-pool", 0, 0, 0)
        os.write(tell, b"x")
        os.read(blocked, 1)

    with pipe() as (told, tell), child(name) as pid:
        os.read(told, 1)
        with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
            expect("comm", comm.read(), "acceptor-of-a-p\n")
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            expect("on the command line", b"acceptor-of" in line.read(), False)
    say("in ps -o comm, top and pgrep", "this name")
