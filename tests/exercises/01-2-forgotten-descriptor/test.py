"""A client must see the end of its connection, and the master must not keep a descriptor of it."""
from lesson import *

LOOK = "server.c, where the child has been made: which descriptors does the master have now, and which does it need? " \
       "fork(2), close(2)"


def ends(connection):
    """True when the end-of-file is there to be read."""
    return select.select([connection], [], [], 0)[0] and connection.recv(1, socket.MSG_PEEK) == b""


def sockets(pid):
    return sum(target.startswith("socket:") for target in descriptors(pid).values())


begin()
step("start the server with 2 workers, send 'hello', read it back, and half-close: shutdown(SHUT_WR)")
with Server("server", "2") as server:
    before = sockets(server.pid)
    client = server.connect()
    expect_echo(client, b"hello", look="server.c, who still needs this descriptor when it is closed")
    client.shutdown(socket.SHUT_WR)
    # Once the child has been reaped and the master sleeps, it closes nothing any more.
    wait_until(lambda: ends(client) or not server.children() and asleep(server.pid))
    expect(wait_until(lambda: ends(client), 1),
           expected="end-of-file behind the echo",
           happened=f"no end-of-file came, though the child has ended; the master has {sockets(server.pid)} sockets "
                    f"open, and had {before} before the client came",
           look=LOOK)
    client.close()

    step("come and go with 50 more clients")
    for _ in range(50):
        client = server.connect()
        expect(answer(client, b"hello", look=LOOK) == b"hello", "the echo of 'hello'", "another answer")
        client.close()
    wait_until(lambda: asleep(server.pid))
    expect(sockets(server.pid) == before,
           expected="the master to have no more sockets open than before the first client",
           happened=lambda: f"it has {sockets(server.pid) - before} more", look=LOOK)
passed()
