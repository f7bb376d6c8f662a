"""The supervisor is killed, and its acceptor ends. The workers serve who has been accepted, and then end, too."""
from lesson import *

LOOK = ("server.c, work: who can still put something into the queue, and so keeps end-of-file away? Compare "
        "/proc/PID/fd of the processes that are left")
NEXT = ("server.c, fill_places: where does a process that takes another's place get the queue from, and what else "
        "does it get with it?")
CUT = "server.c, work: who is served, or waits in the queue, has been accepted. What ends the workers, and when?"
ASKS = "server.c, work: read_fd tells a worker when nobody is left, without its asking. What keeps that away?"
ENDS = ("server.c, work: who reads end-of-file ends. What gives it to all who read the queue, though there is an "
        "acceptor? shutdown asks no copies: shutdown(2)")
WORKERS = random.randint(2, 4)


def comes_true(server, predicate):
    """Waits until `predicate` says true. False as soon as all that is left of the server waits, and goes on waiting for
    a second."""
    quiet, end = 0, time.monotonic() + PATIENCE
    while not predicate() and quiet < 20 and time.monotonic() < end:
        quiet = quiet + 1 if all(state(pid) in ("S", None) for pid in session_of(server.pid)) else 0
        time.sleep(0.05)
    return predicate()


def acceptors(server):
    """The children that have the listener open."""
    ears = [f"socket:[{inode}]" for local, _, tcp_state, _, inode in tcp_sockets()
            if (local, tcp_state) == (server.port, 10)]
    return [pid for pid in server.living_children() if set(ears) & set(descriptors(pid).values())]


def be_served(server, look=NEXT, expected=None):
    """A new client, after it has been served; it stays."""
    data = word()
    client = come(server, data)
    expect_served(server, client, data, look, expected)
    return client


def expect_pool(server, look):
    """Expects that the pool is whole, and can serve as many clients at once as there are workers."""
    def whole():
        return len(server.living_children()) == len(server.children()) == WORKERS + 1 and len(acceptors(server)) == 1
    expect(comes_true(server, whole), expected=f"{WORKERS} workers and an acceptor, which alone has the listener",
           happened=lambda: f"there are {len(server.living_children())} children, {len(acceptors(server))} with it",
           look=look)
    expect_rest(server, look=ASKS)
    for client in [be_served(server, expected=f"{WORKERS} clients to be served at once") for _ in range(WORKERS)]:
        client.close()
    expect_rest(server, look=ASKS)


def expect_end(server, look):
    """Expects that nobody is left, the supervisor being dead."""
    expect(comes_true(server, lambda: not session_of(server.pid)), look=look,
           expected="all workers to end, when they have served all who were accepted",
           happened=lambda: f"{len(session_of(server.pid))} of {WORKERS} still live: nobody is left who could bring "
                            "them a connection")


def supervisor_dies(server, look):
    """Keeps all workers busy, lets more clients come, and kills the supervisor. All are served, and then nobody is
    left."""
    staying = [be_served(server) for _ in range(WORKERS)]
    waiting = {come(server, data): data for data in (word() for _ in range(random.randint(2, 5)))}
    expect_rest(server, look=ASKS)
    ours = acceptors(server)
    server.kill()
    server.wait()
    expect(wait_until(lambda: not any(state(pid) not in ("Z", "X", None) for pid in ours)),
           expected="the acceptor to end with the supervisor", happened="it lives on",
           look="server.c, move_connections: fork_child in common/process.h says what ends a child")
    for client in staying:
        expect_echo(client, word(), look=CUT, expected="the clients that are being served to be served on")
    for client in staying:
        client.close()
    for client, data in waiting.items():
        expect_reply(client, data, look=CUT, expected="the clients that wait in the queue to be served")
        client.close()
    expect_end(server, look)


begin()
step(f"start the server with {WORKERS} workers, and see whether they sleep")
with Server("server", WORKERS) as server:
    expect_pool(server, ENDS)
    expect(wakes(server.pid, *server.living_children()) < 3, expected="all processes to sleep when nobody comes",
           happened="one wakes up again and again", look=ASKS)
    step("be served by all workers, kill the supervisor (SIGKILL), and go away")
    supervisor_dies(server, LOOK)

step("start it again, kill the acceptor and all workers, and let others take their places")
with Server("server", WORKERS) as server:
    expect_pool(server, NEXT)
    kill(*acceptors(server))
    expect_pool(server, NEXT)
    victims = server.living_children()
    kill(*(pid for pid in victims if pid not in acceptors(server)))
    expect_pool(server, NEXT)
    kill(*acceptors(server))
    expect_pool(server, NEXT)
    step("be served by all workers, kill the supervisor (SIGKILL), and go away")
    supervisor_dies(server, NEXT)

step("start it again, and kill the supervisor before anybody has come")
with Server("server", WORKERS) as server:
    expect_rest(server, look=ASKS)
    server.kill()
    server.wait()
    expect_end(server, LOOK)

step("start it again, and end it with SIGTERM")
with Server("server", WORKERS) as server:
    expect_pool(server, NEXT)
    expect_stop(server, look="server.c, supervise")
passed()
