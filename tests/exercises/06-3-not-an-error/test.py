"""Workers wake up, and nobody is there: that is no error. That no descriptor is left is one."""
from lesson import *

LOOK = ("server.c, work: what does accept4 say when nobody is there? Is it an error? accept(2), "
        "ERRORS")
SHORT = ("server.c, work: when descriptors have run out, the client stays in the backlog, so the "
         "listener stays readable. What is to be said, and when may the worker try again?")
WORKERS = random.randint(3, 5)


def last_line(server):
    return (server.stderr().strip().splitlines() or [""])[-1]


def expect_living(server, workers, look, expected="every worker to go on"):
    ended = sum(state(pid) in (None, "Z", "X") for pid in workers)
    expect(ended == 0, expected=expected, look=look,
           happened=lambda: f'{ended} of the {WORKERS} workers ended; the server said '
                            f'"{last_line(server)}"')


def expect_calm(server, workers, said=""):
    """The same workers as ever wait, and the server has said nothing but `said`."""
    expect_rest(server, look=LOOK)
    expect_living(server, workers, look=LOOK)
    expect(server.stderr() == said, expected="nothing to be said, since nothing is wrong",
           happened=lambda: f'the server complains: "{last_line(server)}"', look=LOOK)


def interrupt(workers):
    """Stops these processes, and lets them go on: they leave epoll_wait. signal(7)"""
    for pid in workers:
        stop_process(pid)
    for pid in workers:
        send_signal(pid, signal.SIGCONT)


begin()
step(f"start the server with {WORKERS} workers, stop each of them for a moment (SIGSTOP, SIGCONT), "
     "and come then")
with Server("server", WORKERS) as server:
    workers = server.living_children()
    expect(len(workers) == WORKERS, expected=f"{WORKERS} workers", look="server.c, fill_places",
           happened=f"there are {len(workers)}")
    expect_calm(server, workers)
    interrupt(workers)
    expect_calm(server, workers)
    client = come(server, WORD)
    all_rest(workers)
    expect(select.select([client], [], [], 0)[0], look=LOOK,
           expected="the client to be served at once, since all workers are idle",
           happened="all of them sleep, and it waits")
    expect_reply(client, WORD, look=LOOK)
    client.close()
    expect_calm(server, workers)

    step("forbid the workers to open more descriptors (RLIMIT_NOFILE), and come with a client")
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in workers}
    for pid in workers:
        most = max(descriptors(pid)) + 1
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, limits[pid][1]))
    client = come(server, WORD)
    expect(all_rest([server.pid, *workers]), expected="a worker to wait before it tries again",
           happened="it goes on and on: it spins", look=SHORT)
    expect(wait_until(server.stderr), expected="the server to say why a client waits",
           happened="it says nothing", look=SHORT)
    expect("Too many open files" in server.stderr(), expected="the reason to be said, by strerror",
           happened=lambda: f'it says "{last_line(server)}"', look=SHORT)
    tries = wakes(*workers)
    expect_living(server, workers, look=SHORT,
                  expected="every worker to go on, since it may have descriptors again soon")
    expect(tries < 100, look=SHORT, happened=f"it tried {tries} times within a second",
           expected="a worker to wait a moment before it tries again, a tenth of a second perhaps")
    lines = len(server.stderr().splitlines())
    expect(lines <= WORKERS, expected="that it is said once", happened=f"there are {lines} lines",
           look=SHORT)

    step("give that back")
    for pid in workers:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits[pid])
    expect_reply(client, WORD, look=SHORT, expected="the client that waited to be served")
    client.close()
    said = server.stderr()

    step("stop all workers, come with one client, and let all of them run for it; twenty times")
    for _ in range(20):
        for pid in workers:
            stop_process(pid)
        data = word()
        client = come(server, data)
        interrupt(workers)
        expect_served(server, client, data, look=LOOK)
        client.close()
        expect_calm(server, workers, said)

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, supervise")
passed()
