"""TCP: ends, resets, ports, and who is woken."""
import contextlib
import ctypes
import os
import select
import signal
import socket

from experiment import (CannotTry, asleep, at_the_limit, child, connected, expect, expect_between,
                        fact, listener, outcome, readable, reset, state, tcp_state, wait_for)

TCP_ESTABLISHED, TCP_SYN_SENT, TCP_CLOSE, TCP_CLOSE_WAIT = 1, 2, 7, 8
TIME_WAIT = "06"
libc = ctypes.CDLL(None)
blocked, _open = os.pipe()  # a read from the first waits until the process is ended


@fact("After FIN, and then RST, read gives 0 and write EPIPE: never ECONNRESET.")
def fin_then_reset():
    client, server, _ = connected()
    client.shutdown(socket.SHUT_WR)
    wait_for(lambda: tcp_state(server) == TCP_CLOSE_WAIT, "the FIN")
    server.sendall(b"unread")  # which makes of the client's close a reset
    readable(client)
    client.close()
    wait_for(lambda: tcp_state(server) == TCP_CLOSE, "the RST")
    expect("recv after FIN and RST", outcome(server.recv, 1), b"")
    expect("send after it", outcome(server.send, b"x"), "EPIPE")


@fact("After data, and then RST, read gives the data first, and then ECONNRESET, once; then 0.")
def data_then_reset():
    client, server, _ = connected()
    client.sendall(b"data")
    readable(server)
    reset(client)
    wait_for(lambda: tcp_state(server) == TCP_CLOSE, "the RST")
    expect("recv", outcome(server.recv, 100), b"data")
    expect("recv again", outcome(server.recv, 100), "ECONNRESET")
    expect("and again", outcome(server.recv, 100), b"")


@fact("A peer that closes with unread data sends RST, not FIN: read gives ECONNRESET, and no "
      "end-of-file.")
def close_with_unread_data():
    client, server, _ = connected()
    server.sendall(b"never read")
    readable(client)
    client.close()
    expect("recv at the other end", outcome(server.recv, 1), "ECONNRESET")


@fact("A connection that is reset while it is queued is accepted on Linux; then read says "
      "ECONNRESET.")
def reset_while_queued():
    at = listener()
    client = socket.create_connection(at.getsockname())
    readable(at)
    reset(client)
    server, _ = at.accept()
    wait_for(lambda: tcp_state(server) == TCP_CLOSE, "the RST")
    expect("accept, and recv", outcome(server.recv, 1), "ECONNRESET")


def states(port):
    """Those of all connections and listeners of this port: proc(5), /proc/net/tcp."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        return {line.split()[3] for line in table if line.split()[1].endswith(f":{port:04X}")}


def restarted(old, new):
    """What bind says to a second listener on a port of which the first one's connection is left in TIME_WAIT."""
    client, server, at = connected(*old)
    address = at.getsockname()
    at.close()
    server.close()  # first: this side keeps TIME_WAIT
    client.recv(1)
    client.close()
    wait_for(lambda: states(address[1]) <= {TIME_WAIT}, "the end of the connection")
    if not states(address[1]):
        raise CannotTry("the kernel keeps as many connections in TIME_WAIT as it may")
    second = socket.socket()
    for option in new:
        second.setsockopt(socket.SOL_SOCKET, option, 1)
    return outcome(second.bind, address)


@fact("SO_REUSEADDR helps a restarted server only if both have it: the old one, whose "
      "connections are left, and the new.")
def reuseaddr_on_both():
    yes = (socket.SO_REUSEADDR,)
    expect("bind, old and new have it", restarted(yes, yes), None)
    expect("bind, only the new one has it", restarted((), yes), "EADDRINUSE")
    expect("bind, only the old one has it", restarted(yes, ()), "EADDRINUSE")


@fact("SO_REUSEADDR permits the port of connections that are open, too, not only of those in "
      "TIME_WAIT.")
def reuseaddr_beside_open_connections():
    client, server, at = connected(socket.SO_REUSEADDR)
    address = at.getsockname()
    at.close()
    second = socket.socket()
    second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    expect("bind while the old connection is open", outcome(second.bind, address), None)
    expect("listen", outcome(second.listen), None)
    client.sendall(b"still")
    expect("and the old connection goes on", outcome(server.recv, 5), b"still")


@fact("With SO_REUSEADDR a second listener cannot be had beside one that listens; with "
      "SO_REUSEPORT on both it can.")
def two_listeners():
    first = listener(socket.SO_REUSEADDR)
    second = socket.socket()
    second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    expect("SO_REUSEADDR: bind", outcome(second.bind, first.getsockname()), "EADDRINUSE")
    first, second = listener(socket.SO_REUSEPORT), socket.socket()
    second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    expect("SO_REUSEPORT: bind", outcome(second.bind, first.getsockname()), None)
    expect("SO_REUSEPORT: listen", outcome(second.listen), None)


def woken_first(shared, flags):
    """Two processes wait, one after the other, for the same listener: which are woken by one connection? Neither accepts."""
    at = listener()
    common = select.epoll()
    if shared:
        common.register(at, select.EPOLLIN | flags)
    told, tell = os.pipe()

    def wait(number):
        own = common if shared else select.epoll()
        if not shared:
            own.register(at, select.EPOLLIN | flags)
        os.write(tell, b"r")
        own.poll()
        os.write(tell, bytes([number]))
        os.read(blocked, 1)

    with contextlib.ExitStack() as stack:
        for number in b"12":
            pid = stack.enter_context(child(lambda number=number: wait(number)))
            os.read(told, 1)
            wait_for(lambda pid=pid: asleep(pid), "that it waits")
        stack.enter_context(socket.create_connection(at.getsockname()))
        woken = os.read(told, 1)
        while readable(told, 0.3):
            woken += os.read(told, 1)
    return woken.decode()


@fact("Of several that wait in one epoll instance that they share, edge-triggered, a connection "
      "wakes one: the last that came.")
def epoll_shared_instance_wakes_the_last():
    expect("woken", woken_first(True, select.EPOLLET), "2")


@fact("Of several that wait for one listener each with an epoll instance of its own, a "
      "connection wakes all.")
def epoll_own_instances_all_wake():
    expect("woken", "".join(sorted(woken_first(False, 0))), "12")


@fact("With EPOLLEXCLUSIVE a connection wakes one: the one that registered first, if it waits.")
def epoll_exclusive_wakes_the_first():
    expect("woken", woken_first(False, select.EPOLLEXCLUSIVE), "1")


@fact("Datagrams of Unix-domain sockets keep their order and are not lost: a full queue makes "
      "the sender wait, or EAGAIN.")
def unix_datagrams_wait():
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.setblocking(False)
    for sent in range(100000):
        if outcome(left.send, b"%d" % sent) == "EAGAIN":
            break
    expect_between("sent until EAGAIN", sent, 1, 99998)
    expect("received, in order", all(right.recv(100) == b"%d" % number for number in range(sent)), True)


@fact("A datagram that is longer than the buffer is cut, and the rest is gone: MSG_TRUNC says so.")
def datagrams_are_cut():
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.send(b"twelve bytes")
    left.send(b"next")
    data, _, flags, _ = right.recvmsg(6)
    expect("recvmsg with room for 6", data, b"twelve")
    expect("MSG_TRUNC", bool(flags & socket.MSG_TRUNC), True)
    expect("the next one", right.recv(100), b"next")


def accept_and_tell(at, tell, number):
    """For a child: waits in accept, says which of several it is, and keeps what it has accepted."""
    at.accept()
    os.write(tell, bytes([number]))
    os.read(blocked, 1)


@fact("Of several that wait in accept, a connection wakes one: the one that has waited longest.")
def accept_wakes_who_has_waited_longest():
    at = listener()
    told, tell = os.pipe()

    with contextlib.ExitStack() as stack:
        for number in b"123":
            pid = stack.enter_context(child(lambda number=number: accept_and_tell(at, tell, number)))
            wait_for(lambda pid=pid: asleep(pid), "that it waits")
        for turn in b"123":
            with socket.create_connection(at.getsockname()):
                expect("woken", os.read(told, 1), bytes([turn]))


@fact("Of several that wait in accept, one that is stopped has left the queue: a connection wakes the next.")
def who_is_stopped_has_left_the_queue():
    at = listener()
    told, tell = os.pipe()

    with contextlib.ExitStack() as stack:
        pids = []
        for number in b"12":
            pids.append(stack.enter_context(child(lambda number=number: accept_and_tell(at, tell, number))))
            wait_for(lambda: asleep(pids[-1]), "that it waits")
        os.kill(pids[0], signal.SIGSTOP)
        wait_for(lambda: state(pids[0]) == "T", "that it stands")
        with socket.create_connection(at.getsockname()):
            expect("woken", os.read(told, 1), b"2")


@fact("A connection ends when the last descriptor for it is closed, in whatever process.")
def the_last_descriptor_ends_a_connection():
    client, server, _ = connected()
    copy = server.dup()
    server.close()
    expect("end-of-file at the client while a copy is open", readable(client, 0.1), False)
    copy.close()
    expect("after the copy's end", outcome(client.recv, 1), b"")


@fact("The kernel completes connections without the server: a client connects, and sends, "
      "before anybody accepts.")
def connected_before_accept():
    at = listener()
    client = socket.create_connection(at.getsockname())
    expect("send", outcome(client.send, b"hello"), 5)
    server, _ = at.accept()
    expect("what lies there when it is accepted", server.recv(100), b"hello")


@fact("A listener stays readable as long as a connection waits: who does not accept and does "
      "not pause, spins.")
def a_listener_stays_readable():
    at = listener()
    client = socket.create_connection(at.getsockname())
    expect("select, ten times, at once", [readable(at, 1) for _ in range(10)], [True] * 10)
    at.accept()
    expect("after accept", readable(at, 0), False)
    client.close()


@fact("accept at the limit of descriptors fails with EMFILE, and leaves the connection in the "
      "backlog.")
def accept_at_the_limit():
    at = listener()
    client = socket.create_connection(at.getsockname())
    with at_the_limit():
        expect("accept at the limit", outcome(at.accept), "EMFILE")
    expect("and above it", at.accept()[1], client.getsockname())


@fact("On Linux a connection is blocking or not as accept4 is told, and not as its listener is.")
def blocking_is_not_inherited():
    at = listener()
    at.setblocking(False)
    clients = [socket.create_connection(at.getsockname()) for _ in range(2)]
    for flags, wanted in (0, True), (socket.SOCK_NONBLOCK, False):
        fd = libc.accept4(at.fileno(), None, None, flags)
        expect(f"accept4 with flags {flags}: blocking", os.get_blocking(fd), wanted)
        os.close(fd)
    del clients


@fact("When the backlog is full, a client is neither refused nor connected: the kernel goes on "
      "trying for it.")
def a_full_backlog_makes_clients_wait():
    at = listener()
    at.listen(0)  # room for one
    first, second = (socket.socket() for _ in range(2))
    for client in first, second:
        client.setblocking(False)
        expect("connect", outcome(client.connect, at.getsockname()), "EINPROGRESS")
    wait_for(lambda: tcp_state(first) == TCP_ESTABLISHED, "the first connection")
    writable = bool(select.select([], [second], [], 0.2)[1])
    expect("the second one after a moment: writable", writable, False)
    expect("and its state", tcp_state(second), TCP_SYN_SENT)


@fact("The kernel shares clients out among listeners that have the same port by SO_REUSEPORT.")
def reuseport_shares_clients_out():
    first, second = listener(socket.SO_REUSEPORT), socket.socket()
    second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    second.bind(first.getsockname())
    second.listen()
    clients = [socket.create_connection(first.getsockname()) for _ in range(64)]
    expect("after 64 clients both are readable", [readable(first), readable(second)], [True, True])
    del clients


@fact("A write to a socket that nobody can read any more raises SIGPIPE, which ends a program; "
      "if ignored, the error is EPIPE.")
def a_write_to_nobody():
    left, right = socket.socketpair()
    right.close()
    answer = outcome(os.write, left.fileno(), b"x")
    expect("write, with SIGPIPE ignored, as Python does", answer, "EPIPE")

    def with_the_default():
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        outcome(left.send, b"x", socket.MSG_NOSIGNAL)  # has survived it
        os.write(tell, b"alive")
        os.write(left.fileno(), b"x")

    told, tell = os.pipe()
    with child(with_the_default) as pid:
        expect("after send with MSG_NOSIGNAL the process is", os.read(told, 10), b"alive")
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        expect("after write it has been ended by signal", ended.si_status, signal.SIGPIPE)


@fact("A non-blocking send takes what there is room for, and says how much; without room it "
      "fails with EAGAIN.")
def a_send_takes_what_fits():
    client, _server, _ = connected()
    client.setblocking(False)
    taken = []
    while (sent := outcome(client.send, bytes(1 << 20))) != "EAGAIN":
        taken.append(sent)
    expect_between(f"sent of {1 << 20} bytes at a time, the least", min(taken), 1, (1 << 20) - 1)


@fact("TCP's urgent byte stands in its place with SO_OOBINLINE, and is not among the others "
      "without it.")
def urgent_bytes_in_line():
    for inline, wanted in (1, b"abc"), (0, b"ac"):
        client, server, _ = connected()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, inline)
        for data, flags in (b"a", 0), (b"b", socket.MSG_OOB), (b"c", 0):
            client.send(data, flags)
        client.shutdown(socket.SHUT_WR)
        got = b""
        while data := server.recv(100):
            got += data
        expect(f"SO_OOBINLINE {inline}: received", got, wanted)


@fact("With TCP_DEFER_ACCEPT a client that says nothing first is not there for accept before the "
      "option's time is over.")
def defer_accept_waits_for_data():
    at = listener()
    at.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
    client = socket.create_connection(at.getsockname())
    expect("the listener is readable", readable(at, 0.3), False)
    client.send(b"x")
    expect("after a byte", readable(at), True)


@fact("listen on a socket without an address gives it one: a free port, on all addresses.")
def listen_chooses_a_port():
    made = socket.socket()
    made.listen()
    host, port = made.getsockname()
    expect("address", host, "0.0.0.0")
    expect("a port", port > 0, True)


@fact("Whoever holds a copy of a listener keeps its port.")
def a_copy_keeps_the_port():
    at = listener(socket.SO_REUSEADDR)
    address = at.getsockname()
    with child(lambda: os.read(blocked, 1)):
        at.close()
        second = socket.socket()
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        expect("bind while a child has it", outcome(second.bind, address), "EADDRINUSE")
    expect("bind after the child's end", outcome(second.bind, address), None)
