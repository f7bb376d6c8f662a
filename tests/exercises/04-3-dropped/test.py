"""Six clients come while both workers are busy. Each must be served in the end, by no more than two processes."""
from lesson import *

LOOK = "server.c, hand_over and wait_readable: where can a client wait until a worker is idle? listen(2) on the backlog"


def readable(connections):
    return select.select(connections, [], [], 0)[0]


begin()
for kept in 0, 1:  # whichever worker it is that stays busy
    step("start the server with 2 workers, and keep both busy; then send \"hello\" from 6 more clients")
    with Server("server", "2") as server:
        settle(server)
        held = [server.connect(), server.connect()]
        for connection in held:
            expect_echo(connection, b"hello")
        settle(server)
        held.sort(key=lambda connection: holders(server, connection))
        clients = [server.connect() for _ in range(6)]
        for client in clients:
            client.sendall(b"hello")
        wait_until(lambda: all(server_end(server, c) is not None or readable([c]) for c in clients))
        expect(rests(server.pid), expected="the master to wait", happened="the master never waits: it takes all of a CPU",
               look="server.c, wait_readable: what does select say of a listener with clients that nobody accepts?")
        expect(len(server.living_children()) <= 2, expected="no more than 2 workers, as the command line said",
               happened=lambda: f"{len(server.living_children())} processes serve", look=LOOK)
        dropped = len(readable(clients))
        expect(dropped == 0, expected="all 6 to wait until a worker is free",
               happened=f"{dropped} of them {'was' if dropped == 1 else 'were'} turned away", look=LOOK)

        step("close one of the two connections that keep the workers busy")
        held[1 - kept].close()
        expect_replies(clients, b"hello", look=LOOK,
                       expected="the 6 clients to be served by that worker, one after the other")
        expect_echo(held[kept], b"hello", expected="the connection that was held all the time to be served still")

        step("end the server with SIGTERM")
        expect_stop(server, look="server.c, serve")
passed()
