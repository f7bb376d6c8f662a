"""The server is asked how busy it is, in every state that it can be in, and serves as if nobody had asked."""
from lesson import *

FORMAT = re.compile(r"(-?\d+) waiting, (-?\d+) of (\d+) busy")
ARRIVES = "server.c, main and serve: how does SIGTERM arrive there? process.h"
asked = 0


def lines(server):
    return [line for line in server.stderr().splitlines() if FORMAT.search(line)]


def ask(server):
    """Sends SIGUSR1, and gives the line that the server says."""
    global asked
    os.kill(server.pid, signal.SIGUSR1)
    asked += 1
    wait_until(lambda: len(lines(server)) >= asked or state(server.pid) in ("Z", None))
    said = lines(server)
    status = server.wait(0) if state(server.pid) in ("Z", None) else None
    expect(status is None, expected="the server to go on serving", look=ARRIVES,
           happened=lambda: f"the signal ended it (signal {-status})" if status < 0 else
           f"the signal ended it (exit status {status})")
    expect(len(said) >= asked, expected="a line such as \"server: 0 waiting, 0 of 3 busy\" on stderr",
           happened=lambda: f"it said {server.stderr()!r}" if server.stderr() else "it said nothing",
           look=ARRIVES)
    expect(len(said) == asked, expected="one line for each signal", look="process.h, signals_next",
           happened=f"{len(said)} lines for {asked} signal{'' if asked == 1 else 's'}")
    return said[-1]


def expect_load(server, waiting, busy, look):
    """The server says so, sooner or later: it may still be busy with what the test did just now."""
    answer = ""

    def as_expected():
        nonlocal answer
        answer = ask(server)
        time.sleep(0.02)
        return tuple(map(int, FORMAT.search(answer).groups())) == (waiting, busy, 3)
    expect(wait_until(as_expected), expected=f"it to say \"{waiting} waiting, {busy} of 3 busy\"", look=look,
           happened=lambda: f"it says \"{answer}\"")


WAITING = "tcp(7), TCP_INFO: what of a listener's tcp_info is shown by `ss -lt` as Recv-Q? ss(8)"
BUSY = "server.c: when does a worker become busy, and in which ways does that end?"

begin()
step("start the server with 3 workers, and send it SIGUSR1")
with Server("server", "3") as server:
    settle(server)
    expect_load(server, 0, 0, BUSY)

    step("connect twice, and ask")
    served = [server.connect(), server.connect()]
    for connection in served:
        expect_echo(connection, b"hello")
    expect_load(server, 0, 2, BUSY)

    step("connect a third time, then with 4 more clients, and ask")
    served.append(server.connect())
    expect_echo(served[-1], b"hello")
    clients = [server.connect() for _ in range(4)]
    for client in clients:
        client.sendall(b"hello")
    wait_until(lambda: all(server_end(server, c) is not None for c in clients))
    rests(server.pid)
    expect_load(server, 4, 3, WAITING)
    for connection in served:
        expect_echo(connection, b"and more", expected="the three to be served as if nobody had asked")

    step("close one of the three, and ask")
    served.pop().close()
    answered = select.select(clients, [], [], PATIENCE)[0]
    expect(answered, expected="a client that waited to be served", happened=f"nothing came in {PATIENCE:g} seconds")
    expect_reply(answered[0], b"hello", expected="a client that waited to be served",
                 look="server.c: to count the clients that wait, none of them need be accepted")
    expect_load(server, 3, 3, WAITING)

    step("kill the workers that serve the other two, and ask")
    for connection in served:
        for pid in holders(server, connection):
            if pid != server.pid:
                kill(pid)
    wait_until(lambda: len(server.living_children()) == len(server.children()) == 3)
    settle(server)
    expect(len(lines(server)) == asked,
           expected="one line for each SIGUSR1, and none for another signal", look=ARRIVES,
           happened=f"{len(lines(server))} lines for {asked} signals, after two workers have died")
    expect_load(server, 1, 3, BUSY)

    step("send 100 signals, and close all connections but one")
    for _ in range(100):
        os.kill(server.pid, signal.SIGUSR1)
    rests(server.pid)
    asked = len(lines(server))
    expect(asked >= 1, expected="at least one line", happened="none")
    keep = answered[0]
    expect_echo(keep, b"and more")
    expect_replies([c for c in clients if c is not keep], b"hello", expected="all who waited to be served")
    expect_load(server, 0, 1, BUSY)
    keep.close()
    expect_load(server, 0, 0, BUSY)

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, serve")
passed()
