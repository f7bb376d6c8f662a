"""Several clients come at the same moment: a worker may take one, and all must be served."""
from lesson import *

LOOK = ("server.c, work: how many clients can a worker serve at a time? What becomes of the others "
        "that it has accepted?")
EDGE = ("server.c, watch and work: a worker that is told once, and accepts one, does not hear of "
        "the others again. Edge-triggered and level-triggered in epoll(7)")
WAIT = "server.c, work: how does a worker wait?"
WORKERS = random.randint(3, 6)


def come_with(server, count):
    """So many clients: {connection: what it has sent}."""
    return {come(server, data): data for data in (word() for _ in range(count))}


def stop(workers):
    for pid in workers:
        stop_process(pid)


def go_on(*workers):
    for pid in workers:
        send_signal(pid, signal.SIGCONT)


def expect_same(server, workers):
    expect(server.living_children() == workers, expected="the same workers as at the beginning",
           happened="one has ended, or another was started", look="server.c, work")
    expect_rest(server, look=WAIT)


begin()
step(f"start the server with {WORKERS} workers, stop them (SIGSTOP), come with as many clients, "
     "and let one worker go on")
with Server("server", WORKERS) as server:
    workers = server.living_children()
    expect(len(workers) == WORKERS, expected=f"{WORKERS} workers", look="server.c, fill_places",
           happened=f"there are {len(workers)}")
    expect_same(server, workers)
    expect(wakes(*workers) == 0, expected="workers to sleep until somebody comes", look=WAIT,
           happened="they wake up again and again, only to find that nobody has come")
    stop(workers)
    clients = come_with(server, WORKERS)
    go_on(random.choice(workers))
    all_rest(workers)
    accepted = WORKERS - backlog(server)
    expect(accepted == 1, happened=f"{accepted} were accepted", look=LOOK,
           expected="the worker to accept one of them, and to leave the others to other workers")

    step("let the other workers go on, too")
    go_on(*workers)
    for client, data in clients.items():
        expect_served(server, client, data, look=LOOK,
                      expected="each client to be served, since there is a worker for each")

    step("come with 2 more clients, while every worker serves one")
    more = come_with(server, 2)
    all_rest(workers)
    expect(backlog(server) == 2, expected="them to wait in the backlog until a worker is free",
           happened=lambda: f"{2 - backlog(server)} of the 2 were accepted", look=LOOK)
    for client in clients:
        client.close()
    expect_all_served(server, more, look=EDGE, expected="them to be served when a worker is free")
    expect_same(server, workers)

    step("stop all workers, come with 3 clients more than there are workers, and let them go on")
    stop(workers)
    clients = come_with(server, WORKERS + 3)
    go_on(*workers)
    expect_all_served(server, clients, look=EDGE,
                      expected="every client to be served, one after the other")
    expect_same(server, workers)

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, supervise")
passed()
