"""Clients come one after the other: how many workers are woken? Several come: are all served?"""
from lesson import *

LOOK = ("server.c, watch: what does each worker ask the kernel to tell it, and is it told alone? "
        "epoll_ctl(2)")
LOST = ("server.c, work: of several who come at once, who is told of the second, when the first "
        "has been accepted? Edge-triggered and level-triggered in epoll(7)")
NEXT = ("server.c, work: who is told of the next client, after the first? EPOLLONESHOT and EPOLLET "
        "in epoll_ctl(2)")
WORKERS, CLIENTS = random.randint(6, 10), 10


def expect_same(server, workers):
    expect(server.living_children() == workers, expected="the same workers as at the beginning",
           happened="one has ended, or another was started", look="server.c, work")
    expect_rest(server, look="server.c, work")


begin()
step(f"start the server with {WORKERS} workers, and leave it alone for a second")
with Server("server", WORKERS) as server:
    workers = server.living_children()
    expect(len(workers) == WORKERS, expected=f"{WORKERS} workers", look="server.c, fill_places",
           happened=f"there are {len(workers)}")
    expect_same(server, workers)
    expect(wakes(*workers) == 0, expected="workers to sleep until somebody comes",
           happened="they wake up again and again, only to find that nobody has come",
           look="server.c, work: how does a worker wait?")

    step(f"come {CLIENTS} times, one client after the other, and count the workers that wake up")
    woken = 0
    for _ in range(CLIENTS):
        before, data = {pid: sleeps(pid) for pid in workers}, word()
        client = come(server, data)
        expect_served(server, client, data, look=NEXT)
        serving = holders(server, client)
        expect(len(serving) == 1 and serving[0] in workers, expected="one worker to serve it",
               happened="the master has accepted it" if server.pid in serving else
               f"{len(serving)} workers have it open", look="server.c, work")
        client.close()
        expect_same(server, workers)
        woken += sum(sleeps(pid) != before[pid] for pid in workers)
    average = f"{woken / CLIENTS:.1f} of {WORKERS} for each client"
    # Some ways to mend it wake one, some two: the one that accepts, and who is to be the next.
    expect(woken < CLIENTS * WORKERS / 2, expected="one worker to be woken for each client",
           happened=f"woken were {average}", look=LOOK)
    if woken >= 2 * CLIENTS:
        remark(f"woken were {average}; one is enough")

    step("stop all workers (SIGSTOP), come with as many clients, and let all workers go on")
    for pid in workers:
        stop_process(pid)
    clients = [(data, come(server, data)) for data in (word() for _ in workers)]
    for pid in workers:
        send_signal(pid, signal.SIGCONT)
    for data, client in clients:
        expect_served(server, client, data, look=LOST,
                      expected="each of them to be served, since there is a worker for each")
    for _, client in clients:
        client.close()
    expect_same(server, workers)

    step("stop all workers, come with 3 clients more than there are workers, and let them go on")
    for pid in workers:
        stop_process(pid)
    clients = {come(server, data): data for data in (word() for _ in range(WORKERS + 3))}
    for pid in workers:
        send_signal(pid, signal.SIGCONT)
    expect_all_served(server, clients, look=LOST,
                      expected="nobody to be forgotten: every client to be served, one after the other")
    expect_same(server, workers)

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, supervise")
passed()
