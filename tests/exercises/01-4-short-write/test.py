"""A client that reads late must get everything back; meanwhile its child must sleep."""
from lesson import *

LOOK = "server.c, serve_client: how many of the bytes did send take? Where do the others go? send(2), RETURN VALUE"
LOOK_SLEEP = "server.c, where the child cannot send: what tells it, without asking again and again, when it can? " \
             "poll(2), POLLOUT"
BUFFERED = 16 * 1024  # SO_SNDBUF of the starter


def connect_with_little_room(server, size):
    """A connection that holds little of what was not read yet, so that the server is soon held up."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    connection.settimeout(PATIENCE)
    connection.connect(("127.0.0.1", server.port))
    return connection


def send_some(connection, data):
    """Sends what the connection takes now. Gives the rest."""
    connection.setblocking(False)
    try:
        while data:
            data = data[connection.send(data[:65536]):]
    except OSError:  # would block, or broke: what comes back tells
        pass
    connection.settimeout(PATIENCE)
    return data


def expect_little_room(child, number, take):
    """Expects SO_SNDBUF of the child's connection to be as it was, as far as the kernel lets us see. May then take
    what room can be taken: a send of 2 KiB is short then, so a smaller buffer of the child's own does not help it."""
    copy = copy_of(child, number)
    if copy is None:
        return
    with socket.socket() as other, socket.socket(fileno=copy) as end:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFERED)
        room, wanted = (of.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) for of in (end, other))
        if take:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    expect(room <= wanted, expected="the kernel to buffer little for each client: SO_SNDBUF stays at "
           f"{BUFFERED // 1024} KiB", happened=f"it buffers up to {room} bytes, instead of {wanted}",
           look="server.c, serve_client: more room puts the short write off, until a client is slower still. "
                "SO_SNDBUF in socket(7)")


def read_late(server, size, least):
    """Sends `size` bytes and reads them late; with the least room that the kernel can be told to keep, or with some."""
    within = ", with the least room for them on their way" if least else ""
    step(f"send {size} bytes{within}, and read nothing until the server takes no more of them")
    first = random.randrange(1 << 31)
    sent = struct.pack(f"<{size // 4}I", *range(first, first + size // 4))  # no part is like another
    client = connect_with_little_room(server, 1 if least else 32768)
    rest = sent

    def served():
        """The child that serves the client, with the number of the connection there; None when nobody does."""
        numbers = ((child, number_of(child, server_end(server, client))) for child in server.living_children())
        return next(((child, number) for child, number in numbers if number is not None), None)

    def waits():
        return served() and rests(served()[0], 0)

    if wait_until(waits):  # it has set what it sets
        expect_little_room(*served(), least)

    def held_up():
        nonlocal rest
        before, rest = rest, send_some(client, rest)
        return len(rest) == len(before) and asleep(*server.living_children())

    held = wait_until(held_up, by=server.living_children())
    expect(server.living_children(), expected="the child to wait until its client reads",
           happened="it has ended, and so has the connection",
           look="server.c, serve_client: what does send say when there is no room at all? EAGAIN in send(2), wait_for")
    child = server.living_children()[0]
    expect(wakes(child) < 3, expected="the child to sleep until there is room again",
           happened="it wakes up again and again, only to find that there is none", look=LOOK_SLEEP)
    # Only now: who sleeps a little again and again is seldom seen to sleep on a busy machine.
    expect(held, expected="the child to sleep while it can send nothing",
           happened="it goes on and on: it spins", look=LOOK_SLEEP)
    number = number_of(child, server_end(server, client))
    expect(number is None or flags(child, number) & os.O_NONBLOCK,
           expected="the connection to be non-blocking: a client that never reads is to be given up",
           happened="it blocks, and the child may wait for ever in send, where no time-out ends it",
           look="server.c, where the connection is accepted: SOCK_NONBLOCK")
    step(f"send {size} bytes{within}, but read the first only when the server has stopped taking them")
    back = answer(client, rest, look=LOOK)
    client.close()
    differs = next((i for i, (a, b) in enumerate(zip(back, sent)) if a != b), min(len(back), len(sent)))
    expect(back == sent, expected=f"the same {size} bytes back",
           happened=f"{len(back)} bytes came back, but from byte {differs + 1} on they are others"
           if len(back) == len(sent) else
           f"only {len(back)} came back; the first that is missing is byte {differs + 1}",
           look=LOOK)


begin()
step("start the server with 2 workers")
with Server("server", "2") as server:
    step("send a word")
    client = server.connect()
    expect_echo(client, WORD, look=LOOK)
    client.close()

    for size, least in (64 * 1024, True), (4 * 1024 * 1024, False):
        wait_until(lambda: not server.children())
        read_late(server, size, least)
passed()
