"""Clients wait in the listeners of several workers. Workers are killed, and no client is lost."""
from lesson import *

LOOK = ("server.c, fill_places: who has the listener of a worker open, and what becomes of its "
        "backlog when nobody has any more? Where somebody has: who accepts from it, when its worker "
        "is dead?")
SHARED = "server.c, fill_places and listener_make: SO_REUSEPORT in socket(7)"
WORKERS = random.randint(3, 5)


def queues(server):
    """The listeners on the server's port: {inode: how many clients wait in it}."""
    return {inode: waiting for local, _, tcp_state, waiting, inode in tcp_sockets()
            if (local, tcp_state) == (server.port, 10)}


def come_to_all(server):
    """Clients, until some wait in every listener: {connection: what it has sent}."""
    clients = {}
    while not all(queues(server).values()):
        data = word()
        clients[come(server, data)] = data
        # The kernel deals by a hash: a listener that so many have missed is not met at all.
        expect(len(clients) < 300, expected="the kernel to deal clients to all listeners",
               happened=f"{len(clients)} clients came, and one has none", look=SHARED)
    return clients


def expect_all_well(server):
    expect(wait_until(lambda: len(server.living_children()) == len(server.children()) == WORKERS),
           expected=f"{WORKERS} workers, since one that dies is replaced",
           happened=lambda: f"there are {len(server.living_children())}",
           look="server.c, supervise")
    expect_rest(server, look="server.c, work")
    count = len(queues(server))
    expect(count == WORKERS, expected=f"{WORKERS} listeners on the port, one for each worker",
           happened=f"there {'is' if count == 1 else 'are'} {count}", look=SHARED)


begin()
step(f"start the server with {WORKERS} workers")
with Server("server", WORKERS) as server:
    expect_all_well(server)
    for kills in 1, 2, WORKERS:
        step("stop all workers (SIGSTOP), come until clients wait in every listener, kill "
             f"{kills} of the {WORKERS} workers, and let the others go on")
        workers = server.living_children()
        for pid in workers:
            stop_process(pid)
        clients = come_to_all(server)
        # One, but not the first: who gives listeners out in turn has come to the first again.
        victims = random.sample(workers[1:] if kills == 1 else workers, kills)
        kill(*victims)
        for pid in set(workers) - set(victims):
            send_signal(pid, signal.SIGCONT)
        expect_all_served(server, clients, look=LOOK,
                          expected="every client to be served: none had been accepted by a worker "
                                   "that was killed")
        expect_all_well(server)

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, supervise")
passed()
