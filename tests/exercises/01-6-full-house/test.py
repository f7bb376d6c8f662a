"""A full house: who comes then must wait, unaccepted and unharmed, and cost nothing."""
from lesson import *

LOOK = "server.c, where select is told what to watch: when should it watch the listener? listen(2), select(2)"
LOOK_BOUND = "server.c, what `living` counts, and when a child may be made"


def dropped(connection):
    """True when the server has closed the connection."""
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


begin()
step("start the server with 2 workers, and keep both at work")
with Server("server", "2") as server:
    held = []
    for _ in range(2):
        held.append(server.connect())
        expect_echo(held[-1], word(), look=LOOK_BOUND)
    rests(server.pid)
    before = len(descriptors(server.pid))

    step("come with 4 more clients while the two are being served")
    waiting = [server.connect() for _ in range(4)]
    rested = rests(server.pid)
    count = sum(map(dropped, waiting))
    expect(count == 0, expected="them to wait until a worker is free",
           happened=f"{count} of the 4 connections {'was' if count == 1 else 'were'} closed", look=LOOK)
    expect(len(server.living_children()) == 2, expected="2 children, since the server has 2 workers",
           happened=lambda: f"there are {len(server.living_children())}", look=LOOK_BOUND)
    held_now = len(descriptors(server.pid)) - before
    expect(held_now <= 1, expected="them to wait in the backlog of the listener, where they cost the server nothing",
           happened=f"the server has accepted {held_now} connections that it cannot serve yet", look=LOOK)
    if held_now == 1:
        remark("one client more than can be served is accepted, and waits in the server instead of the backlog")
    expect(wakes(server.pid) < 3, expected="the server to sleep until a worker is free",
           happened="it wakes up again and again, only to find that none is",
           look="server.c: what tells it that a child has ended, without asking again and again? select(2)")
    # Only now: who sleeps a little again and again is seldom seen to sleep on a busy machine.
    expect(rested, expected="the server to sleep until a worker is free", happened="it goes on and on: it spins",
           look="server.c: what does it wait for while no worker is free? A listener where clients wait is readable")

    step("let the first two go, and then each that has been served")
    for client in held:
        client.close()
    for client in waiting:
        expect_echo(client, WORD, expected="each of the 4 that waited to be served",
                    look="server.c, where a child has ended: does the server notice? Does it watch the listener again?")
        client.close()

    step("fill the house again, let one more wait, and send the server SIGTERM")
    wait_until(lambda: not server.children())
    clients = []
    for _ in range(2):
        clients.append(server.connect())
        expect_echo(clients[-1], b"again", look=LOOK_BOUND)
    clients.append(server.connect())
    rests(server.pid)
    status = server.stop()
    expect(status == 0, expected="the server to end, with exit status 0",
           happened="it still lives: it does not hear the signal" if status is None else f"its exit status is {status}",
           look="server.c: when the house is full there must be one place where it waits, for every signal")
passed()
