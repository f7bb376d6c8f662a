"""Six clients come while both workers are busy. Each must be served in the end, by no more than two processes."""
from lesson import *

LOOK = "server.c, hand_over and wait_readable: where can a client wait until a worker is idle? listen(2) on the backlog"


DEAF = "server.c: while nobody is idle, what does the master wait for? It must hear of deaths and of signals, " \
       "too. And who hands over what was accepted before, when a worker is new?"


SERVED = "server.c, serve and hand_over: who gets a connection while a worker is idle?"


def readable(connections):
    return select.select(connections, [], [], 0)[0]


begin()
for kept in 0, 1:  # whichever worker it is that stays busy
    step("start the server with 2 workers, and keep both busy; then send a word from 6 more clients")
    with Server("server", "2") as server:
        settle(server)
        held = [server.connect(), server.connect()]
        for connection in held:
            expect_echo(connection, WORD, look=SERVED)
        settle(server)
        held.sort(key=lambda connection: holders(server, connection))
        clients = [server.connect() for _ in range(6)]
        for client in clients:
            client.sendall(WORD)
        wait_until(lambda: all(server_end(server, c) is not None or readable([c]) for c in clients))
        expect(rests(server.pid), expected="the master to wait", happened="the master never waits: it takes all of a CPU",
               look="server.c, wait_readable: what does select say of a listener with clients that nobody accepts?")
        expect(len(server.living_children()) <= 2, expected="no more than 2 workers, as the command line said",
               happened=lambda: f"{len(server.living_children())} processes serve", look=LOOK)
        dropped = len(readable(clients))
        expect(dropped == 0, expected="all 6 to wait until a worker is free",
               happened=f"{dropped} of them {'was' if dropped == 1 else 'were'} turned away", look=LOOK)
        accepted = sum(bool(server_end(server, client)) for client in clients)
        expect(accepted or kept or wakes(server.pid) < 3, expected="the master to wait until a "
               "worker is idle", happened="it wakes up again and again, only to find that none is",
               look="server.c, wait_readable: which descriptor tells that a worker is idle again, "
               "and which need not be watched before?")
        if accepted:
            remark(f"{accepted} of 6 clients that cannot be served yet are accepted; the backlog would hold them for less")

        step("close one of the two connections that keep the workers busy")
        held[1 - kept].close()
        expect_replies(clients, WORD, look=LOOK,
                       expected="the 6 clients to be served by that worker, one after the other")
        expect_echo(held[kept], WORD, expected="the connection that was held all the time to be "
                    "served still", look="server.c: who closes a connection that is being served?")

        step("keep both workers busy, let two clients wait, and kill one of the workers")
        settle(server)
        second = server.connect()
        expect_echo(second, WORD, look=SERVED)
        clients = [server.connect() for _ in range(2)]
        for client in clients:
            client.sendall(WORD)
        wait_until(lambda: all(server_end(server, c) is not None for c in clients))
        rests(server.pid)
        kill(next(pid for pid in holders(server, second) if pid != server.pid))
        expect(select.select(clients, [], [], PATIENCE)[0], look=DEAF,
               expected="a client that waits to be served by a new worker",
               happened=lambda: f"nothing came in {PATIENCE:g} seconds; there are "
                                f"{len(server.living_children())} workers")

        step("end the server with SIGTERM, while both workers are busy and a client waits")
        rests(server.pid)
        expect_stop(server, look=DEAF)
passed()
