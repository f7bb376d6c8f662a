"""The master is killed. Its workers must end: those that are idle at once, one that serves when its client has gone."""
from lesson import *

LOOK = "server.c, worker_start and worker_begin: which descriptors does a new process have, and who else has a copy of " \
       "the master's end of a channel? fork(2); unix(7)"


SERVED = "server.c, worker_begin: which of its descriptors does a worker still need, to be " \
         "handed a connection and to serve?"


ENDS = "server.c, worker_start and worker_begin: which end of its channel does a worker need, and " \
       "is it still open? close(2) takes only one's own copy; shutdown(2) ends a socket for all " \
       "who hold it, the master as well"


def living(pids):
    return [pid for pid in pids if state(pid) not in ("Z", None)]


def kill_master(server):
    server.kill(signal.SIGKILL)
    server.wait()


def expect_end(pids, expected, look=LOOK):
    # Who has nothing to do but to end is never seen to wait with a time-out.
    later = [pid for pid in living(pids) if has_time_out(pid)] if all_rest(pids) else []
    expect(not later, expected=expected,
           happened=f"{len(later)} of {len(pids)} are still there: each sleeps for a time, and "
                    "looks only then",
           look="server.c, worker_begin: a worker need not ask now and then whether its master "
                "lives. Its read says so at once, when nobody has the other end open any more")
    expect(wait_until(lambda: not living(pids)), expected=expected, look=look,
           happened=lambda: f"{len(living(pids))} of {len(pids)} are still there: each waits for what its master sends")


def client_of_a_worker(server):
    """Gives a connection that is served, and the worker that does."""
    connection = server.connect()
    expect_echo(connection, WORD, look=SERVED)
    rests(server.pid)
    workers = [pid for pid in holders(server, connection) if pid != server.pid]
    expect(workers, expected="a worker to have the connection", happened="none has it", look=SERVED)
    return connection, workers[-1]


def keep_busy(server):
    """Gives a connection to each of 3 workers, {worker: connection}, that of the last place last."""
    settle(server)
    connections = {}
    for _ in range(3):
        connection, worker = client_of_a_worker(server)
        connections[worker] = connection
    expect(sorted(connections) == server.children(), expected="each worker to serve one client",
           happened="one serves none", look=SERVED)
    return connections


begin()
MANY = random.randint(18, 24)
step(f"start the server with {MANY} workers, and kill the master (SIGKILL)")
with Server("server", MANY) as server:
    workers = server.children()
    all_rest([server.pid, *workers])
    expect(len(workers) == MANY and living(workers) == workers, look=ENDS,
           expected="the workers to wait for what their master sends",
           happened=lambda: f"{MANY - len(living(workers))} of {MANY} have ended, though their master lives")
    expect_echo(server.connect(), WORD, look=SERVED)
    settle(server)
    workers = server.children()
    kill_master(server)
    expect_end(workers, "the workers to end, since none of them serves a client")

step("start it with 3 workers, keep all busy, let the last one have its client for longer, and kill the master")
with Server("server", "3") as server:
    connections = keep_busy(server)
    *others, last = connections
    for worker in others:
        connections[worker].close()
    settle(server)
    kill_master(server)
    expect_end(others, "the two workers without a client to end, while another worker serves its client")
    expect_echo(connections[last], b"and more", expected="the client of the third worker to be served to the end",
                look="server.c, worker_begin: the kernel need not kill a worker that still has a client: it ends by "
                     "itself")
    connections[last].close()
    expect_end([last], "the third worker to end when its client has gone")

step("start it with 3 workers; kill the first two, while the third serves, and wait for new ones; "
     "let the third one's client go, and a new one serve; and kill the master")
with Server("server", "3") as server:
    connections = keep_busy(server)
    *killed, last = connections
    for worker in killed:
        connections[worker].close()
    settle(server)
    stop_process(server.pid)  # so it learns of both deaths at once
    kill(*killed)
    send_signal(server.pid, signal.SIGCONT)
    expect(wait_until(lambda: len(server.living_children()) == 3 and
                      not set(killed) & set(server.children())), expected="two new workers",
           happened=lambda: f"{len(server.living_children())} workers", look="server.c, serve")
    settle(server)
    connections[last].close()
    settle(server)
    workers = server.children()
    connection, serves = client_of_a_worker(server)
    expect(serves != last, expected="a new worker to serve, since the first that is idle does",
           happened="the one that was there before serves", look=SERVED)
    kill_master(server)
    expect_end([worker for worker in workers if worker != serves],
               "the two others to end, while a worker that took the place of another one serves its client")
    expect_echo(connection, b"and more", expected="the client to be served to the end", look=LOOK)
    connection.close()
    expect_end([serves], "the new worker to end when its client has gone")
passed()
