"""The server is asked how busy it is, in every state that it can be in, and serves as if nobody had asked."""
from lesson import *

WORKERS = random.randint(3, 5)
FORMAT = re.compile(r"(-?\d+) waiting, (-?\d+) of (\d+) busy")
ARRIVES = "server.c, main and serve: how does SIGTERM arrive there? process.h"
asked = 0


def lines(server):
    return [line for line in server.stderr().splitlines() if FORMAT.search(line)]


def ask(server, look=ARRIVES):
    """Sends SIGUSR1, and gives the line that the server says; one that is stopped goes on."""
    global asked
    os.kill(server.pid, signal.SIGUSR1)
    os.kill(server.pid, signal.SIGCONT)
    asked += 1
    wait_until(lambda: len(lines(server)) >= asked or state(server.pid) in ("Z", None)
               or FORMAT.search(server.stdout()))
    said = lines(server)
    status = server.wait(0) if state(server.pid) in ("Z", None) else None
    expect(status is None, expected="the server to go on serving", look=ARRIVES,
           happened=lambda: f"the signal ended it (signal {-status})" if status < 0 else
           f"the signal ended it (exit status {status})")
    if not said and FORMAT.search(server.stdout()):
        fail("the line on stderr", "it came on stdout", "log.h: what says a line on stderr, and "
             "waits for nobody?")
    expect(len(said) >= asked, expected=f"a line such as \"server: 0 waiting, 0 of {WORKERS} busy\" on stderr",
           happened=lambda: f"it said {server.stderr()!r}" if server.stderr() and not said else
           "it said nothing more" if said else "it said nothing", look=look)
    expect(len(said) == asked, expected="one line for each signal", look="process.h, signals_next",
           happened=f"{len(said)} lines for {asked} signal{'' if asked == 1 else 's'}")
    return said[-1]


def expect_load(server, waiting, busy, wait_look="", busy_look=""):
    """The server says so, sooner or later: it may still be busy with what the test did just now."""
    answer = ""

    def said():
        return tuple(map(int, FORMAT.search(answer).groups()))

    def as_expected():
        nonlocal answer
        answer = ask(server, wait_look or ARRIVES)
        time.sleep(0.02)
        return said() == (waiting, busy, WORKERS)

    if wait_until(as_expected):
        return
    if said()[0] != waiting:
        half, look = "the number of those who wait is another", wait_look or WAITING
    elif said()[1] != busy:
        half, look = "the number of busy workers is another", busy_look or BUSY
    else:
        half, look = "the number of all workers is another", "server.c: cmdline.workers"
    fail(f"it to say \"{waiting} waiting, {busy} of {WORKERS} busy\"", f"it says \"{answer}\": {half}", look)


SERVED = "server.c, serve: service goes on as before, whatever is asked meanwhile"
WAITING = "server.c, where those are counted who wait: who knows how long the backlog is? The README, \"What to read\""
BUSY = "server.c, where the busy workers are counted: when does a worker become busy, and in which ways does that end?"

begin()
step(f"start the server with {WORKERS} workers, and send it SIGUSR1")
with Server("server", WORKERS) as server:
    settle(server)
    expect_load(server, 0, 0)

    FEW = random.randint(1, WORKERS - 1)
    step(f"connect {'once' if FEW == 1 else f'{FEW} times'}, and ask")
    served = [server.connect() for _ in range(FEW)]
    for connection in served:
        expect_echo(connection, WORD, look=SERVED)
    expect_load(server, 0, FEW)

    WAIT = random.randint(3, 7)
    step(f"connect until all {WORKERS} workers are busy, then with {WAIT} more clients, and ask")
    for _ in range(WORKERS - FEW):
        served.append(server.connect())
        expect_echo(served[-1], WORD, look=SERVED)
    clients = [server.connect() for _ in range(WAIT)]
    for client in clients:
        client.sendall(WORD)
    wait_until(lambda: all(server_end(server, c) is not None for c in clients))
    rests(server.pid)
    expect_load(server, WAIT, WORKERS)
    for connection in served:
        expect_echo(connection, b"and more", expected="all who are served to be served as if "
                    "nobody had asked", look=SERVED)

    step("close one of those that are served, and ask")
    served.pop().close()
    answered = select.select(clients, [], [], PATIENCE)[0]
    expect(answered, expected="a client that waited to be served", happened="nothing came in "
           f"{PATIENCE:g} seconds", look=SERVED)
    expect_reply(answered[0], WORD, expected="a client that waited to be served",
                 look="server.c: to count the clients that wait, none of them need be accepted")
    expect_load(server, WAIT - 1, WORKERS)

    step("kill the workers that serve two others, and ask")
    for connection in served[:2]:
        for pid in holders(server, connection):
            if pid != server.pid:
                kill(pid)
    expect(wait_until(lambda: len(server.living_children()) == len(server.children()) == WORKERS),
           expected=f"{WORKERS} workers, and no zombie",
           happened=lambda: f"{len(server.living_children())} living workers, and "
           f"{len(server.children()) - len(server.living_children())} zombies", look=
           "server.c, serve: SIGCHLD still arrives there, and dead workers are reaped. Whatever "
           "signal came?")
    settle(server)
    expect(len(lines(server)) == asked,
           expected="one line for each SIGUSR1, and none for another signal", look=ARRIVES,
           happened=f"{len(lines(server))} lines for {asked} signals, after two workers have died")
    expect_load(server, WAIT - 3, WORKERS, busy_look=f"{BUSY} Two have died, and two new ones serve")

    step("close all connections but one, and ask")
    keep = answered[0]
    expect_echo(keep, b"and more", look=SERVED)
    expect_replies([c for c in clients if c is not keep], WORD, expected="all who waited to be "
                   "served", look=SERVED)
    for connection in served[2:]:
        connection.close()
    expect_load(server, 0, 1)

    step("stop the master (SIGSTOP), and close the last one; when its worker has reported that it "
         "is idle, ask, and let the master go on")
    settle(server)
    worker = next((pid for pid in holders(server, keep) if pid != server.pid), None)
    end = server_end(server, keep)
    stop_process(server.pid)
    keep.close()
    if worker is not None:
        wait_until(lambda: number_of(worker, end) is None)
        rests(worker)
    said = ask(server)
    expect(tuple(map(int, FORMAT.search(said).groups())) == (0, 0, WORKERS), expected=
           f'it to say "0 waiting, 0 of {WORKERS} busy"', happened=f'it says "{said}"', look=
           "server.c, serve: the signal came, and the report of a worker had come before. Which is "
           "looked at first?")

    LATE = random.randint(1, 4)
    step(f"connect until all workers are busy, and with {LATE} more; kill a worker while the "
         "server can start no process (RLIMIT_NPROC), so that its place is vacant; and ask")
    served = [server.connect() for _ in range(WORKERS)]
    for connection in served:
        expect_echo(connection, WORD, look=SERVED)
    late = [server.connect() for _ in range(LATE)]
    wait_until(lambda: all(server_end(server, client) is not None for client in late))
    with no_more_processes(server):
        victims = [pid for pid in holders(server, served.pop()) if pid != server.pid]
        kill(*victims)
        wait_until(lambda: not set(victims) & set(server.children()))
        expect_load(server, LATE, WORKERS - 1, busy_look=f"{BUSY} There is no process in a vacant "
                    "place", wait_look=f"{WAITING}. When no process can be started, no other "
                    "program can be asked")
    for connection in served:
        connection.close()
    for client in late:
        client.sendall(WORD)
    expect_replies(late, WORD, expected="all who waited to be served", look=SERVED)
    expect(wait_until(lambda: len(server.living_children()) == WORKERS), expected=f"{WORKERS} workers again",
           happened=lambda: f"{len(server.living_children())} workers", look="server.c, serve")
    settle(server)

    HELD = random.randint(0, 3)
    step(f"let the server pass no descriptor on, so that it holds the client that it has accepted; connect, and "
         f"{HELD} times more; and ask")
    with no_hand_over(server):
        clients = [server.connect()]
        wait_until(lambda: server_end(server, clients[0]))
        clients += [server.connect() for _ in range(HELD)]
        wait_until(lambda: all(server_end(server, client) is not None for client in clients))
        expect_load(server, HELD + 1, 0, wait_look="server.c: who is connected, not with a worker, and not in the "
                                                   "backlog any more? Where does the master keep a connection?")
    for client in clients:
        client.sendall(WORD)
    expect_replies(clients, WORD, expected="all who waited to be served", look=SERVED)

    step("send 100 signals, and connect")
    for _ in range(100):
        os.kill(server.pid, signal.SIGUSR1)
    rests(server.pid)
    expect(len(lines(server)) > asked, expected="at least one line", happened="none", look=ARRIVES)
    asked = len(lines(server))
    with server.connect() as connection:
        expect_echo(connection, WORD, look=SERVED)
        expect_load(server, 0, 1)

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, serve")

step("start the server with a stderr that nobody reads, and that is full; send it SIGUSR1, and connect")
reader, writer = os.pipe()
os.set_blocking(writer, False)
with contextlib.suppress(BlockingIOError):
    while True:
        os.write(writer, bytes(4096))
os.set_blocking(writer, True)
with open(writer, "wb", buffering=0) as full, Server("server", WORKERS, stderr=full) as server:
    settle(server)
    for _ in range(3):
        os.kill(server.pid, signal.SIGUSR1)
        rests(server.pid)
    expect_echo(server.connect(), WORD, expected="the client to be served, whether or not somebody reads stderr",
                look="server.c: how is the line said? write(2) to a pipe that is full waits until somebody reads it. "
                     "log.h")
    expect_stop(server, look="server.c, serve")
passed()
