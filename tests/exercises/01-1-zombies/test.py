"""Children end one by one and all at once; each must be reaped, and its place be free again."""
from lesson import *

LOOK = "server.c, where SIGCHLD has arrived. Whose task is it to take the status of a child? waitpid(2)"


def zombies(server):
    return [pid for pid in server.children() if state(pid) == "Z"]


def how_many(server):
    count = len(zombies(server))
    return f"{count} zombie{'' if count == 1 else 's'} among its children" if count else \
        f"{len(server.children())} children, and none is a zombie"


begin()
step("start the server with 2 workers, and talk through two connections at once")
with Server("server", "2") as server:
    first = server.connect()
    expect_echo(first, b"first", look=LOOK)
    second = server.connect()
    expect_echo(second, b"second", look="server.c, where the child is made: while a child serves, the master must "
                                        "not wait for it. WNOHANG in waitpid(2)")

    for name, connection in ("first", first), ("second", second):
        step(f"close the {name} connection")
        connection.close()
        wait_until(lambda: len(server.living_children()) < 2)
        expect(wait_until(lambda: not zombies(server)),
               expected="no zombie once its client has gone",
               happened=lambda: how_many(server), look=LOOK)
    expect(wait_until(lambda: not server.children()), expected="no child to be left",
           happened=lambda: how_many(server), look="server.c, where a child has served its connection")

    step("come back with two more clients")
    for name in b"third", b"fourth":
        connection = server.connect()
        expect_echo(connection, name, expected="to be served, since no child lives any more",
                    look="server.c, what `living` counts: does the server see every child that has ended?")
        connection.close()

step("end 8 clients at the same moment, while the master is stopped (SIGSTOP) and goes on later (SIGCONT)")
with Server("server", "8") as server:
    connections = [server.connect() for _ in range(8)]
    for connection in connections:
        expect_echo(connection, b"hello", look=LOOK)
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

    step("after that, come with 8 clients at once, and one more")
    connections = [server.connect() for _ in range(8)]
    for connection in connections:
        expect_echo(connection, b"again", expected="all 8 to be served, since no child lives any more",
                    look="server.c, what `living` counts: it must go down once for each child")
    connections.append(server.connect())
    wait_until(lambda: state(server.pid) == "S")
    expect(len(server.children()) <= 8, expected="the ninth client to wait, since 8 children live",
           happened=lambda: f"{len(server.children())} children",
           look="server.c, what `living` counts: it must go down once for each child, and never else")
passed()
