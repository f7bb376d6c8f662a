"""A front looks at the first byte of each client, by epoll, and passes the connection on. Then it
hears no more of it."""
from lesson import *

LOOK = ("server.c, look_at: close ends a registration if nobody else has the connection open, epoll(7). Who has it "
        "open now?")
INNOCENT = ("server.c, look_at: an event names a number. Whose was it when it was registered, and whose is it now? "
            "epoll(7), question 6")
SERVED = "server.c, look_at and work: what did it do with this connection?"
COPY = "server.c, look_at: who has been handed over is the worker's. Who keeps it open?"
WORKERS = random.randint(2, 4)


def word_for(place):
    """A word that the front gives to the worker in this place, by its first byte."""
    return bytes([random.choice([byte for byte in range(97, 123) if byte % WORKERS == place])]) + word()


def be_served(server, place):
    """A new client of the worker in this place, after it has been served; it stays."""
    data = word_for(place)
    client = server.connect()
    client.sendall(data)
    expect_served(server, client, data, look=SERVED)
    return client


def registered(server):
    """The inodes of all that is registered in the front's epoll instances; None when it has no such instance."""
    numbers = [number for number, what in descriptors(server.pid).items() if what == "anon_inode:[eventpoll]"]
    texts = [pathlib.Path(f"/proc/{server.pid}/fdinfo/{number}").read_text() for number in numbers]
    return {int(inode, 16) for text in texts for inode in re.findall(r"ino:([0-9a-f]+)", text)} if numbers else None


def expect_end_of_file(client):
    """Half-closes a connection, and expects the server to close it."""
    client.shutdown(socket.SHUT_WR)
    try:
        ended = client.recv(1) == b""
    except socket.timeout:
        ended = False
    expect(ended, expected="the connection to end, since its client has said all", look=COPY,
           happened=f"after {PATIENCE:g} seconds somebody still had it open")
    client.close()


def reset(client):
    """Closes a connection so that the server's end is reset: SO_LINGER in socket(7)."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


begin()
step(f"start the server with {WORKERS} workers, and be served by one of them")
with Server("server", WORKERS) as server:
    expect_rest(server, look=LOOK)
    before = len(descriptors(server.pid))
    place, other = random.sample(range(WORKERS), 2)
    first = be_served(server, place)
    rests(server.pid)  # it may be served before the front has closed its copy
    mine = holders(server, first)
    expect(mine, expected="a worker to have the connection", happened="nobody has it any more", look=SERVED)
    expect(len(mine) == 1 and server.pid not in mine, expected="a worker to have the connection, and nobody else",
           happened=f"{len(mine)} processes have it, and the front is {'' if server.pid in mine else 'not '}one of "
                    "them", look=COPY)
    worker = mine[0]

    step("go on talking with the worker")
    expect_rest(server, look=LOOK)
    woken = sleeps(server.pid)
    for _ in range(5):
        expect_echo(first, word(), look=SERVED)
        rests(server.pid)
    woken = sleeps(server.pid) - woken
    expect(woken == 0, expected="the front to sleep: this client is the worker's", look=LOOK,
           happened=f"it was woken {woken} times by what the client has said to the worker")
    known = registered(server)
    if known is None:
        remark("there is no epoll instance any more; with one, the front need not name all clients at each wait")
    elif server_end(server, first) in known:
        remark("the connection is still registered, until its worker closes it")

    step("come with another client for the same worker, while that is busy")
    data = word_for(place)
    second = come(server, data)
    expect_rest(server, look=LOOK)
    expect_end_of_file(first)
    expect_served(server, second, data, look=SERVED)
    expect_end_of_file(second)

    step("stop that worker (SIGSTOP), let a client come for it, then a silent one, and reset the first")
    for _ in range(3):
        expect_rest(server, look=LOOK)
        stop_process(worker)
        gone = come(server, word_for(place))
        expect_rest(server, look=LOOK)
        silent = come(server, b"")
        expect_rest(server, look=LOOK)
        reset(gone)
        data = word_for(other)
        try:
            silent.sendall(data)
        except ConnectionError:
            pass  # it has been closed: no reply will come
        expect_served(server, silent, data, look=INNOCENT, expected="the silent client to be served when it speaks")
        expect_end_of_file(silent)
        os.kill(worker, signal.SIGCONT)

    step("let a client come and go without a word, and look at what the front has open")
    come(server, b"").close()
    be_served(server, place).close()
    be_served(server, other).close()
    expect_rest(server, look=LOOK)
    expect(wait_until(lambda: len(descriptors(server.pid)) == before),
           expected=f"the front to have {before} descriptors open, as at first", look=COPY,
           happened=lambda: f"it has {len(descriptors(server.pid))}")

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, serve")
passed()
