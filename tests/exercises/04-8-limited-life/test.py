"""Who serves which connection shows how long a worker lives. Everyone must be served, whoever it is that ends."""
from lesson import *

LOOK = "server.c, worker_begin: its loop is the life of a worker. One that has said that it is idle may be sent a " \
       "connection at any time"


def connect(server, number):
    """Makes connection `number`, and gives it with the process that serves it."""
    connection = server.connect()
    served = f"connection {number} to be served to the end"
    expect_echo(connection, WORD, expected=served, look=LOOK)
    expect(rests(server.pid), expected="the master to wait", happened="the master never waits: it "
           "takes all of a CPU", look="server.c, wait_readable: what is readable again and again? "
           "And worker_report: what does it make of that?")
    expect_echo(connection, b"and more", expected=served,
                look="server.c: how does a worker end? It must not have a connection then")
    mine = [pid for pid in holders(server, connection) if pid != server.pid]
    expect(len(mine) == 1, expected=f"one worker to serve connection {number}",
           happened=lambda: f"{len(mine)} have it open",
           look="server.c, hand_over and worker_begin: who has a connection, and closes it?")
    return connection, mine[0]


def expect_calm(server, workers):
    expect(wait_until(lambda: len(server.living_children()) == workers == len(server.children())),
           expected=f"{workers} worker{'' if workers == 1 else 's'}, and no zombie", look="server.c, worker_lost",
           happened=lambda: f"{len(server.living_children())} workers, "
                            f"{len(server.children()) - len(server.living_children())} zombies")


begin()
for life in 3, 1:
    step(f"start the server with LIFE={life} and 1 worker, and connect {2 * life + 1} times, one after the other")
    with Server("server", "1", env={"LIFE": str(life)}) as server:
        previous = None
        for number in range(1, 2 * life + 2):
            connection, worker = connect(server, number)
            connection.close()
            if (number - 1) % life == 0:
                expect(worker != previous, expected=f"a new worker to serve connection {number}",
                       happened=f"the same worker serves it that has served connection {number - 1}", look=LOOK)
            else:
                expect(worker == previous, expected=f"the same worker to serve connections {number - 1} and {number}",
                       happened=f"another process serves number {number}", look=LOOK)
            previous = worker
        expect_calm(server, 1)

step("start it with LIFE=3 and 2 workers; one keeps its first client, and the other serves four, one after the other")
with Server("server", "2", env={"LIFE": "3"}) as server:
    kept, keeper = connect(server, 1)
    served_by = []
    for number in range(1, 5):
        connection, worker = connect(server, number)
        connection.close()
        served_by.append(worker)
    for number in 2, 3:
        expect(served_by[number - 1] == served_by[0], expected=f"a worker to serve its own 3 connections",
               happened=f"another process serves number {number}", look="server.c: whose connections are counted?")
    expect(served_by[3] != served_by[0], expected="a new worker to serve the fourth",
           happened="the same worker serves it", look=LOOK)
    expect_echo(kept, WORD, expected="the first client to be served still",
                look="server.c: which worker ends, and when?")
    expect(holders(server, kept) == [keeper], expected="its worker to have stayed",
           happened="another one has it", look="server.c: which worker ends, and when?")
    kept.close()
    expect_calm(server, 2)

step("start it with LIFE=2 and 3 workers, and come with 150 clients, 6 at a time")
with Server("server", "3", env={"LIFE": "2"}) as server:
    settle(server)
    before = len(descriptors(server.pid))
    for _ in range(25):
        clients = [server.connect() for _ in range(6)]
        for client in clients:
            client.sendall(WORD)
        expect_replies(clients, WORD, expected="every client to be served",
                       look=LOOK)
    expect_calm(server, 3)
    rests(server.pid)
    expect(len(descriptors(server.pid)) == before, expected=f"the master to have {before} descriptors open, as before",
           happened=lambda: f"it has {len(descriptors(server.pid))}", look="server.c, worker_lost")
    expect_stop(server, look="server.c, serve")

step("start it with LIFE=1 and 1 worker, and come with 24 clients at once")
with Server("server", "1", env={"LIFE": "1"}) as server:
    clients = [server.connect() for _ in range(24)]
    for client in clients:
        client.sendall(WORD)
    patience_ends, left = time.monotonic() + PATIENCE, list(clients)
    while left and time.monotonic() < patience_ends:
        for client in select.select(left, [], [], max(0, patience_ends - time.monotonic()))[0]:
            expect_reply(client, WORD, expected="every client to be served", look=LOOK)
            client.close()
            left.remove(client)
    expect(not left, expected="every client to be served, by one new worker after the other",
           happened=f"{len(left)} of 24 had got nothing after {PATIENCE:g} seconds",
           look="server.c, worker_put_off: where does a place stay vacant, and for longer each "
                "time? How can the master know that a worker has done its work?")
    expect_calm(server, 1)

step("start it with LIFE=1 and 1 worker, all on one CPU; connect, let a second client wait, and let the first go; "
     "ten times")
CPU = min(os.sched_getaffinity(0))
with Server("server", "1", env={"LIFE": "1"}) as server:
    os.sched_setaffinity(server.pid, {CPU})
    client = server.connect()
    for number in range(1, 11):
        expect_echo(client, WORD, expected=f"client {number} to be served", look=LOOK)
        # Whatever its worker says, the master hears of it at once, and goes first.
        for worker in server.living_children():
            os.sched_setaffinity(worker, {CPU})
            os.sched_setscheduler(worker, os.SCHED_IDLE, os.sched_param(0))
        waits = server.connect()
        wait_until(lambda: server_end(server, waits) is not None)
        rests(server.pid)
        client.close()
        client = waits
    expect_echo(client, WORD, expected="the last client to be served", look=LOOK)
    client.close()

step("start it without LIFE, and connect 20 times to its only worker")
with Server("server", "1") as server:
    serving = set()
    for number in range(1, 21):
        connection = server.connect()
        expect_echo(connection, WORD, look="server.c, worker_begin: what is `life` without LIFE?")
        serving.update(server.living_children())
        connection.close()
    expect(len(serving) == 1, expected="one worker to serve them all", happened=f"{len(serving)} served", look=LOOK)

for nonsense in "0", "-1", "many", "3x", "":
    step(f"start it with LIFE=\"{nonsense}\"")
    program = Program("server", "-p", "0", "1", env={"LIFE": nonsense})
    expect(program.status == 2, expected="it to end with exit status 2, since that is no number of connections",
           happened=f"it ended with exit status {program.status}", look="arguments.h, parse_number")
    expect(len(program.err.splitlines()) == 1 and b"LIFE" in program.err, expected="one line on stderr that names LIFE",
           happened=f"it said: {program.err.decode(errors='replace')}", look="err(3)")
passed()
