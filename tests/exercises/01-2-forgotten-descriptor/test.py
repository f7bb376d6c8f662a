"""A client must see the end of its connection, and the master must not keep a descriptor of it."""
from lesson import *

LOOK = "server.c, where the child has been made: which descriptors does the master have now, and which does it need? " \
       "fork(2), close(2)"


def ends(connection):
    """True when the end-of-file is there to be read."""
    return select.select([connection], [], [], 0)[0] and connection.recv(1, socket.MSG_PEEK) == b""


def sockets(pid):
    return sum(target.startswith("socket:") for target in descriptors(pid).values())


LOOK_CLOSE = "server.c: who still needs this connection when it is closed, or shut down? close " \
             "takes one process's own descriptor away, shutdown ends the connection itself, for " \
             "all who have it: close(2), shutdown(2)"

begin()
step("start the server with 2 workers, send a word, read it back, and half-close: shutdown(SHUT_WR)")
with Server("server", "2") as server:
    before = sockets(server.pid)
    client = server.connect()
    expect_echo(client, WORD, look=LOOK_CLOSE)
    client.shutdown(socket.SHUT_WR)
    # Once the child has been reaped and the master sleeps, it closes nothing any more.
    wait_until(lambda: ends(client) or not server.children() and asleep(server.pid))
    expect(wait_until(lambda: ends(client), 1),
           expected="end-of-file behind the echo",
           happened=f"no end-of-file came, though the child has ended; the master has {sockets(server.pid)} sockets "
                    f"open, and had {before} before the client came",
           look=LOOK)
    client.close()

    step("keep one client connected, and come and go with 50 more")
    kept = server.connect()
    expect_echo(kept, WORD, look=LOOK_CLOSE)
    wait_until(lambda: asleep(server.pid))
    if sockets(server.pid) > before:
        remark("the master keeps each connection until its child has ended")
    for _ in range(50):
        client = server.connect()
        client.sendall(WORD)
        expect(select.select([client], [], [], PATIENCE)[0], expected="the client to be served "
               "beside the first one", happened=f"nothing came in {PATIENCE:g} seconds", look=
               "server.c, serve: what does the master wait for while a child serves? It has one "
               "place for that, select")
        expect_reply(client, WORD, look=LOOK_CLOSE)
        client.shutdown(socket.SHUT_WR)
        wait_until(lambda: ends(client) or len(server.children()) == 1 and asleep(server.pid))
        expect(wait_until(lambda: ends(client), 1), expected="end-of-file behind the echo, whoever "
               "else is connected", happened=lambda: "no end-of-file came; the master has "
               f"{sockets(server.pid)} sockets open, and had {before} before the first client came",
               look=LOOK)
        client.close()
    expect_echo(kept, b"and more", expected="the first one to be served still", look=LOOK_CLOSE)
    kept.close()
    wait_until(lambda: not server.children() and asleep(server.pid))
    expect(sockets(server.pid) == before,
           expected="the master to have no more sockets open than before the first client",
           happened=lambda: f"it has {sockets(server.pid) - before} more", look=LOOK)

    step("connect while the server can start no process (RLIMIT_NPROC), and let it start one again")
    with no_more_processes(server):
        client = server.connect()
        wait_until(lambda: server_end(server, client) != 0)  # in the backlog; then it is accepted, or closed
        wait_until(lambda: rests(server.pid))  # fork has failed
    expect_echo(client, WORD, expected="the client to be served once there can be a child",
                look="server.c, serve: if there is no child, who still needs the connection? fork(2), EAGAIN")
    child = server.living_children()
    more = [what for what in descriptors(child[0]).values() if what.startswith("socket:")] if child else []
    if len(more) > 1:
        remark("the child keeps the listener open, which it does not need; in chapter 4 such a thing costs a lot")
passed()
