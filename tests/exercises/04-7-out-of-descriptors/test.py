"""The master may open no further descriptor: it waits. Then it may: it goes on, and everyone who came is served."""
import resource

from lesson import *

LOOK = "server.c, accept_connection: what does accept return when there is no descriptor for the connection, and what " \
       "does select say the next time? accept(2), EMFILE"


def limit(server, count):
    """How many descriptors the master may have open. To raise it again is anyone's right, up to the hard limit."""
    hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (count, hard))


def lowest_free(pid):
    taken = descriptors(pid)
    return next(number for number in range(len(taken) + 1) if number not in taken)


begin()
step("start the server with 3 workers, connect, allow the master no further descriptor, and connect 3 times more")
with Server("server", "3") as server:
    first = server.connect()
    expect_echo(first, WORD, look="server.c, serve and hand_over")
    settle(server)
    before, full = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0], lowest_free(server.pid)
    limit(server, full)
    clients = [server.connect() for _ in range(3)]
    for client in clients:
        client.sendall(WORD)
    wait_until(lambda: all(server_end(server, c) is not None or select.select([c], [], [], 0)[0] for c in clients))
    resting = rests(server.pid)
    status = server.wait(0)
    expect(status is None, expected="the server to wait until descriptors are free", look=LOOK,
           happened=lambda: f"it ended with exit status {status}; it said: {server.stderr().strip()}")
    expect(resting, expected="the master to wait", happened="the master never waits: it takes all of a CPU", look=LOOK)
    dropped = len(select.select(clients, [], [], 0)[0])
    expect(dropped == 0, expected="the 3 clients to wait", look="server.c, accept_connection: where can a client wait?",
           happened=f"{dropped} of them {'was' if dropped == 1 else 'were'} turned away")
    expect_echo(first, b"and more", expected="the first client to be served meanwhile",
                look="server.c, serve: its worker has all that it needs. Who has ended it, or the "
                "connection?")
    time.sleep(1)  # it tries some more times
    if server.stderr().count("\n") > 3:
        remark(f"within a second it says {server.stderr().count(chr(10))} times what is wrong, and fills the log")
    if any(call_of(server.pid)[0] == "sleep" for _ in range(20)):
        remark("while the master sleeps it hears nothing; select could wait as long, and hear all")

    step("allow descriptors again")
    limit(server, before)
    expect_replies(clients, WORD, look="server.c: who makes the master try again?")
    first.close()

    step("take them away again, and kill a worker; then allow descriptors again, and do nothing else")
    rests(server.pid)
    limit(server, lowest_free(server.pid))
    victim = server.children()[0]
    kill(victim)
    wait_until(lambda: victim not in server.children())
    expect(rests(server.pid), expected="the master to wait", happened="the master never waits: it takes all of a CPU",
           look="server.c, serve: what becomes of a place for which no worker can be started?")
    limit(server, before)
    expect(wait_until(lambda: len(server.living_children()) == 3),
           expected="a worker to be started in the vacant place",
           happened=lambda: f"there are {len(server.living_children())} of 3 workers",
           look="server.c, serve: fill_places says whether it could start all. Who makes the master try again?")

    step("take them away again, connect once, and end the server with SIGTERM")
    rests(server.pid)
    if not sanitized():  # what looks for leaks when a program ends needs descriptors for it
        limit(server, lowest_free(server.pid))
    client = server.connect()
    wait_until(lambda: server_end(server, client) is not None)
    expect_stop(server, look="server.c, serve")
passed()
