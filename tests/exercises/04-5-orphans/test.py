"""The master is killed. Its workers must end: those that are idle at once, one that serves when its client has gone."""
from lesson import *

LOOK = "server.c, worker_start and worker_begin: which descriptors does a new process have, and who else has a copy of " \
       "the master's end of a channel? fork(2); unix(7)"


SERVED = "server.c, worker_begin: which of its descriptors does a worker still need, to be " \
         "handed a connection and to serve?"


def living(pids):
    return [pid for pid in pids if state(pid) not in ("Z", None)]


def kill_master(server):
    server.kill(signal.SIGKILL)
    server.wait()


def expect_end(pids, expected, look=LOOK):
    expect(wait_until(lambda: not living(pids)), expected=expected, look=look,
           happened=lambda: f"{len(living(pids))} of {len(pids)} are still there: each waits for what its master sends")


begin()
MANY = random.randint(18, 24)
step(f"start the server with {MANY} workers, and kill the master (SIGKILL)")
with Server("server", MANY) as server:
    settle(server)
    expect_echo(server.connect(), WORD, look=SERVED)
    settle(server)
    workers = server.children()
    kill_master(server)
    expect_end(workers, "the workers to end, since none of them serves a client")

step("start it with 3 workers, keep all busy, let the last one have its client for longer, and kill the master")
with Server("server", "3") as server:
    settle(server)
    connections = {}
    for _ in range(3):
        connection = server.connect()
        expect_echo(connection, WORD, look=SERVED)
        rests(server.pid)
        connections[holders(server, connection)[-1]] = connection
    workers = server.children()
    expect(sorted(connections) == workers, expected="each worker to serve one client",
           happened="one serves none", look=SERVED)
    last = connections.pop(max(connections))
    for connection in connections.values():
        connection.close()
    settle(server)
    kill_master(server)
    expect_end(list(connections), "the two workers without a client to end, while another worker serves its client")
    expect_echo(last, b"and more", expected="the client of the third worker to be served to the end",
                look="server.c, worker_begin: the kernel need not kill a worker that still has a client: it ends by "
                     "itself")
    last.close()
    expect_end(workers, "the third worker to end when its client has gone")

step("start it with 3 workers; kill the first and wait for a new one; let the new one serve, and kill the master")
with Server("server", "3") as server:
    settle(server)
    expect_echo(server.connect(), WORD, look=SERVED)
    settle(server)
    old = server.children()
    kill(old[0])
    expect(wait_until(lambda: len(server.living_children()) == 3 and old[0] not in server.children()),
           expected="a new worker", happened=lambda: f"{len(server.living_children())} workers", look="server.c, serve")
    new = max(set(server.children()) - set(old))
    settle(server)
    connections = []
    while not connections or new not in holders(server, connections[-1]):
        expect(len(connections) < 3, expected="the new worker to serve, too",
               happened="it has got no client", look=SERVED)
        connections.append(server.connect())
        expect_echo(connections[-1], WORD, look=SERVED)
        rests(server.pid)
    for connection in connections[:-1]:
        connection.close()
    settle(server)
    kill_master(server)
    expect_end(old[1:], "the two others to end, while the worker that took the place of the first serves its client")
    expect_echo(connections[-1], b"and more", expected="the client to be served to the end", look=LOOK)
    connections[-1].close()
    expect_end([new], "the new worker to end when its client has gone")
passed()
