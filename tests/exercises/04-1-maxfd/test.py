"""select is to see the listener, `signals`, and every worker's channel,
whichever of them is the highest."""
import fcntl

from lesson import *

LOOK = "server.c, wait_readable: what does the first argument of select mean? select(2)"


def what_select_sees(server):
    """The number that select was given, where the kernel tells, and what it should see."""
    call, below = call_of(server.pid)
    seen = f"; select looks at the descriptors below {below}" if call == "select" else ""
    return (f"nothing came in {PATIENCE:g} seconds{seen}, the listener is descriptor "
            f"{listener_of(server)}, and {max(descriptors(server.pid), default=None)} the highest "
            f"that is open")


def echoed(server, look=LOOK):
    """Gives a connection that is served."""
    connection = server.connect()
    connection.sendall(WORD)
    expect(select.select([connection], [], [], PATIENCE)[0], expected="what was sent to come back",
           happened=lambda: what_select_sees(server), look=look)
    expect_reply(connection, WORD, look=look)
    return connection


def connect_and_echo(server, look=LOOK):
    """Gives a connection, with the process that serves it."""
    connection = echoed(server, look)
    settle(server)
    serves = [pid for pid in holders(server, connection) if pid != server.pid]
    expect(serves, expected="a worker to have the connection", happened="none has it",
           look="server.c, hand_over")
    return connection, serves[0]


def expect_two_at_a_time(server, look=LOOK):
    """Two clients are served at the same time, each by its own worker. Gives the two processes."""
    first, one = connect_and_echo(server, look)
    second, other = connect_and_echo(server, look)
    first.close()
    second.close()
    settle(server)
    return one, other


begin()
step("start the server with 2 workers, and send a word")
with Server("server", "2") as server:
    first, _ = connect_and_echo(server)

    step("connect a second time while the first client is still there")
    second, _ = connect_and_echo(server)

    step("close both connections, and connect twice more")
    first.close()
    second.close()
    expect_two_at_a_time(server, look="server.c, wait_readable: does select see that a worker is "
                                      "idle again? Of both?")

    step("kill the first worker; then kill both at once, while the master is stopped; connect "
         "twice, and twice more")
    first, _ = expect_two_at_a_time(server)
    # The place of a worker that has served is filled at once, and that of one that has not a moment
    # later: so the last place gets the lower channel.
    kill(first)
    wait_until(lambda: first not in server.children() and len(server.living_children()) == 2)
    settle(server)
    os.kill(server.pid, signal.SIGSTOP)
    wait_until(lambda: state(server.pid) == "T")
    killed = server.living_children()
    kill(*killed)
    os.kill(server.pid, signal.SIGCONT)
    wait_until(lambda: len(server.living_children()) == 2 and
               not set(killed) & set(server.children()))
    settle(server)
    for _ in range(2):
        expect_two_at_a_time(server, look="server.c, wait_readable: is every worker's channel "
                                          "watched, also when the last one in the table is not "
                                          "the highest?")

    for name in "first", "second":
        step(f"kill the {name} worker; connect twice, and twice more")
        victim = expect_two_at_a_time(server)[name == "second"]
        kill(victim)
        wait_until(lambda: victim not in server.children() and len(server.living_children()) == 2)
        settle(server)
        for _ in range(2):
            expect_two_at_a_time(server, look="server.c, wait_readable: is every worker's channel "
                                              "watched, also when the last one that was opened is "
                                              "not the highest?")

    call, below = call_of(server.pid)
    if call == "select" and below >= 1024:
        remark(f"select is told to look at all descriptors below {below}, each time")

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, wait_readable: the descriptor `signals` is watched, too")

# Not each number below its channels is the server's, so there is no rule for the highest.
first, last = random.randint(6, 8), random.randint(600, 900)
with contextlib.ExitStack() as stack:
    taken = [stack.enter_context(open(fcntl.fcntl(sys.stdin, fcntl.F_DUPFD, number), "rb"))
             for number in range(first, last)]
    step(f"start the server with {first} workers, and descriptors from {first} to "
         f"{taken[-1].fileno()} that it has inherited; connect as many times, and again")
    with Server("server", first, keep=taken) as server:
        for _ in range(2):
            connections = [echoed(server, look="server.c, wait_readable: the kernel gives the "
                                               "lowest number that is free. Who but the kernel "
                                               "knows which is the highest?")
                           for _ in range(first)]
            for connection in connections:
                connection.close()
            settle(server)

step("start the server with 2 workers; kill one while the master cannot fork, and let a client come "
     "while it cannot hand it over; let it fork again, then hand over; connect twice, and twice more")
with Server("server", "2") as server:
    settle(server)
    first, _ = expect_two_at_a_time(server)
    with no_hand_over(server):
        with no_more_processes(server):
            kill(first)
            wait_until(lambda: first not in server.children())
            client = come(server, WORD)
            wait_until(lambda: server_end(server, client))  # the connection has the dead one's number
        wait_until(lambda: len(server.living_children()) == 2)
    expect_reply(client, WORD, look=LOOK)
    client.close()
    settle(server)
    for _ in range(2):
        expect_two_at_a_time(server, look="server.c, wait_readable: when is the highest looked for? A "
                                          "worker that is started later may have a channel above all "
                                          "that were there before")
passed()
