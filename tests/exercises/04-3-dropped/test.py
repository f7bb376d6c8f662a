"""Six clients come while both workers are busy, and one when both have died. Each must be served in
the end, by no more than two processes."""
from lesson import *

LOOK = "server.c, hand_over and wait_readable: where can a client wait until a worker is idle? listen(2) on the backlog"


COUNT = "server.c: a worker that was idle has died, and another one has its place. How many are idle " \
        "then? Who counts them must hear of deaths, too; idle_worker() asks"


DEAF = "server.c: while nobody is idle, what does the master wait for? It must hear of every report, " \
       "of deaths and of signals. And who hands over what was accepted before, when a worker is new?"


BEHIND = "server.c, hand_over: a connection in a channel is its worker's. Who knows which worker is " \
         "idle first? listen(2) on the backlog"


SERVED = "server.c, serve and hand_over: who gets a connection while a worker is idle?"


def readable(connections, patience=0):
    return select.select(connections, [], [], patience)[0]


def replace_idle(server, worker):
    """Kills a worker that is idle, and waits until another one has its place, and is idle, too."""
    kill(worker)
    expect(wait_until(lambda: len(server.living_children()) == 2 and worker not in server.children()),
           expected="a new worker in its place", look="server.c, serve",
           happened=lambda: f"there are {len(server.living_children())} workers")
    settle(server)


def expect_replies_by_one(server, clients):
    """Expects all clients to get their word, in whatever order; closes each then."""
    expected, left = "the 6 clients to be served by that worker, one after the other", list(clients)
    while left:
        ready = readable(left, PATIENCE)
        if not ready:
            behind = all(server_end(server, c) and not holders(server, c) for c in left)
            fail(expected, f"{len(left)} of {len(clients)} got nothing in {PATIENCE:g} seconds: " +
                 ("they wait at a worker that is busy, while another one is idle" if behind else
                  "the master does not see that a worker is idle"), BEHIND if behind else DEAF)
        for connection in ready:
            expect_reply(connection, WORD, look=LOOK, expected=expected)
            connection.close()
            left.remove(connection)


begin()
for kept in 0, 1:  # whichever worker it is that stays busy
    step("start the server with 2 workers, and keep both busy; then send a word from 6 more clients")
    with Server("server", "2") as server:
        settle(server)
        if kept:
            step("start the server with 2 workers, kill one while both are idle, and wait for a new "
                 "one; keep both busy, and send a word from 6 more clients")
            replace_idle(server, server.children()[-1])
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
               look=COUNT if kept else "server.c, wait_readable: what does select say of a listener "
                                       "with clients that nobody accepts?")
        expect(len(server.living_children()) <= 2, expected="no more than 2 workers, as the command line said",
               happened=lambda: f"{len(server.living_children())} processes serve", look=LOOK)
        dropped = len(readable(clients))
        expect(dropped == 0, expected="all 6 to wait until a worker is free",
               happened=f"{dropped} of them {'was' if dropped == 1 else 'were'} turned away",
               look=COUNT if kept else LOOK)
        accepted = sum(bool(server_end(server, client)) for client in clients)
        expect(accepted or kept or wakes(server.pid) < 3, expected="the master to wait until a "
               "worker is idle", happened="it wakes up again and again, only to find that none is",
               look="server.c, wait_readable: which descriptor tells that a worker is idle again, "
               "and which need not be watched before?")
        if accepted:
            remark(f"{accepted} of 6 clients that cannot be served yet are accepted; the backlog would hold them for less")

        step("close one of the two connections that keep the workers busy")
        held[1 - kept].close()
        expect_replies_by_one(server, clients)
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
        serves = [pid for pid in holders(server, second) if pid != server.pid]
        expect(serves, expected="a worker to have its connection", happened="none has it", look=SERVED)
        kill(serves[0])
        expect(select.select(clients, [], [], PATIENCE)[0], look=DEAF,
               expected="a client that waits to be served by a new worker",
               happened=lambda: f"nothing came in {PATIENCE:g} seconds; there are "
                                f"{len(server.living_children())} workers")

        step("end the server with SIGTERM, while both workers are busy and a client waits")
        rests(server.pid)
        expect_stop(server, look=DEAF)

step("start the server with 2 workers, and stop the master; kill both workers, let a client come, "
     "and the master go on")
with Server("server", "2") as server:
    settle(server)
    stop_process(server.pid)
    kill(*server.living_children())
    client = come(server, WORD)
    send_signal(server.pid, signal.SIGCONT)
    expect_reply(client, WORD, expected="the client to be served by a new worker",
                 look="server.c, serve and hand_over: the last idle worker may have died since select "
                      "looked. What becomes of a client that comes just then?")
passed()
