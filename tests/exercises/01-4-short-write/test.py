"""A client that reads late must get everything back; meanwhile its child must sleep."""
from lesson import *

LOOK = "server.c, serve_client: how many of the bytes did send take? Where do the others go? send(2), RETURN VALUE"
LOOK_SLEEP = "server.c, where the child cannot send: what tells it, without asking again and again, when it can? " \
             "poll(2), POLLOUT"
SIZE = 4 * 1024 * 1024


def connect_with_little_room(server):
    """A connection that holds little of what was not read yet, so that the server is soon held up."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
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


begin()
step("start the server with 2 workers")
with Server("server", "2") as server:
    step("send a word")
    client = server.connect()
    expect_echo(client, WORD, look=LOOK)
    client.close()
    wait_until(lambda: not server.children())

    step(f"send {SIZE} bytes, and read nothing until the server takes no more of them")
    first = random.randrange(1 << 31)
    sent = b"".join(struct.pack("<I", first + number) for number in range(SIZE // 4))  # no part is like another
    client = connect_with_little_room(server)
    rest = sent
    wait_until(server.living_children)

    def held_up():
        global rest
        before, rest = rest, send_some(client, rest)
        return len(rest) == len(before) and asleep(*server.living_children())

    expect(wait_until(held_up), expected="the child to sleep while it can send nothing",
           happened="it goes on and on: it spins", look=LOOK_SLEEP)
    expect(server.living_children(), expected="the child to wait until its client reads",
           happened="it has ended, and so has the connection",
           look="server.c, serve_client: what does send say when there is no room at all? EAGAIN in send(2), wait_for")
    child = server.living_children()[0]
    expect(wakes(child) < 3, expected="the child to sleep until there is room again",
           happened="it wakes up again and again, only to find that there is none", look=LOOK_SLEEP)
    number = number_of(child, server_end(server, client))
    expect(number is None or flags(child, number) & os.O_NONBLOCK,
           expected="the connection to be non-blocking: a client that never reads is to be given up",
           happened="it blocks, and the child may wait for ever in send, where no time-out ends it",
           look="server.c, where the connection is accepted: SOCK_NONBLOCK")
    step(f"send {SIZE} bytes, but read the first only when the server has stopped taking them")
    back = answer(client, rest, look=LOOK)
    differs = next((i for i, (a, b) in enumerate(zip(back, sent)) if a != b), min(len(back), len(sent)))
    expect(back == sent, expected=f"the same {SIZE} bytes back",
           happened=f"{len(back)} bytes came back, but from byte {differs + 1} on they are others"
           if len(back) == len(sent) else
           f"only {len(back)} came back; the first that is missing is byte {differs + 1}",
           look=LOOK)
passed()
