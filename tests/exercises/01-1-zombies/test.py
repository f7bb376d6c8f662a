"""Children end one by one and all at once; each must be reaped, and its place be free again."""
from lesson import *

LOOK = "server.c, where SIGCHLD has arrived. Whose task is it to take the status of a child? waitpid(2)"


def zombies(server):
    return [pid for pid in server.children() if state(pid) == "Z"]


def how_many(server):
    count = len(zombies(server))
    return f"{count} zombie{'' if count == 1 else 's'} among its children" if count else \
        f"{len(server.children())} children, and none is a zombie"


def expect_child(server, connection):
    """A child of its own serves this connection, through which something came back."""
    expect(set(holders(server, connection)) & set(server.living_children()),
           expected="a child to serve the connection", happened=lambda: "no child of the server has it open" +
           (": the server serves it itself" if server.pid in holders(server, connection) else ""),
           look="server.c, child_make: a process for every connection")


def handles(pid, number):
    """Whether a handler of a process may run while it waits as it does now."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    caught, blocked = (int(re.search(rf"^{field}:\s*(\w+)", status, re.MULTILINE)[1], 16) >> (number - 1) & 1
                       for field in ("SigCgt", "SigBlk"))
    return bool(caught and not blocked)


def expect_wake_up(server):
    """That a child has ended wakes the server, even when it looks at `living` just before. Neither the moment nor
    what comes of it can be had for certain; what makes it possible is there all the time."""
    server.expect_sound()
    expect_rest(server, "server.c, serve: who waits for whom, once all clients have gone?")
    if not handles(server.pid, signal.SIGCHLD):
        return
    # Not with the self-pipe, nor with pselect; a time-out ends the sleep.
    pipe = any(what.startswith(("pipe:", "anon_inode:[eventfd]"))
               for number, what in descriptors(server.pid).items() if number > 2)
    expect(pipe or has_mask(server.pid) or has_time_out(server.pid),
           expected="each child that ends to wake the server, whenever it ends",
           happened="a handler catches SIGCHLD. When it runs between the look at `living` and select, select sleeps on: "
           "the place is lost until another child ends",
           look="server.c, where SIGCHLD is caught: signals_open makes a descriptor of it, which select watches. Or "
                "\"The self-pipe trick\" in select(2)")
    remark("no handler needs to catch SIGCHLD, since select watches a descriptor for it")


begin()
step("start the server with 2 workers, and talk through two connections at once")
with Server("server", "2") as server:
    first = server.connect()
    expect_echo(first, b"first", look=LOOK)
    second = server.connect()
    expect_echo(second, b"second", look="server.c, where the child is made: while a child serves, the master must "
                                        "not wait for it. WNOHANG in waitpid(2)")
    for connection in first, second:
        expect_child(server, connection)

    step("close the first connection")
    first.close()
    wait_until(lambda: len(server.living_children()) < 2)
    expect(wait_until(lambda: not zombies(server)), expected="no zombie once its client has gone",
           happened=lambda: how_many(server), look=LOOK)

    step("come with another client, while the second is still there")
    another = server.connect()
    expect_echo(another, word(), expected="it to be served, since only one child lives",
                look="server.c, where SIGCHLD has arrived: does the server see every child that has ended, and "
                     "wait for none that still serves? WNOHANG in waitpid(2), and what it returns")
    for name, connection, left in ("second", second, 1), ("last", another, 0):
        step(f"close the {name} connection")
        connection.close()
        wait_until(lambda: len(server.living_children()) <= left)
        expect(wait_until(lambda: not zombies(server)), expected="no zombie once its client has gone",
               happened=lambda: how_many(server), look=LOOK)
    expect(wait_until(lambda: not server.children()), expected="no child to be left",
           happened=lambda: how_many(server), look="server.c, where a child has served its connection")

    step("look how the server waits, now that nobody is left")
    expect_wake_up(server)

    step("come back with two more clients")
    for _ in range(2):
        connection = server.connect()
        expect_echo(connection, word(), expected="to be served, since no child lives any more",
                    look="server.c, what `living` counts: does the server see every child that has ended?")
        connection.close()

MANY = random.randint(6, 9)
step(f"end {MANY} clients at the same moment, while the master is stopped (SIGSTOP) and goes on later (SIGCONT)")
with Server("server", MANY) as server:
    connections = [server.connect() for _ in range(MANY)]
    for connection in connections:
        expect_echo(connection, WORD, look=LOOK)
    os.kill(server.pid, signal.SIGSTOP)
    wait_until(lambda: state(server.pid) == "T")
    for connection in connections:
        connection.close()
    wait_until(lambda: not server.living_children())
    os.kill(server.pid, signal.SIGCONT)
    expect(wait_until(lambda: not server.children()),
           expected="no child to be left",
           happened=lambda: how_many(server),
           look="server.c, where SIGCHLD has arrived: how many children may have ended when it comes once? "
                "signal(7) on standard signals that are pending")

    step(f"end {MANY} clients at once; when all have gone, come with as many again, and one more")
    connections = [server.connect() for _ in range(MANY)]
    for connection in connections:
        expect_echo(connection, b"again", expected=f"all {MANY} to be served, since no child lives any more",
                    look="server.c, what `living` counts: it must go down once for each child")
    connections.append(server.connect())
    wait_until(lambda: state(server.pid) == "S")
    expect(len(server.children()) <= MANY, expected=f"the last client to wait, since {MANY} children live",
           happened=lambda: f"{len(server.children())} children",
           look="server.c, what `living` counts: it must go down once for each child, and never else")
passed()
