"""The server says on SIGUSR1 how many wait in the queue, and how many in the backlog. The kernel says so, too."""
from lesson import *

QUEUE = ("server.c, in_queue: who knows what is in the queue at this moment, what is its unit, and at which end is "
         "it to be read? ioctl(2), FIONREAD in unix(7)")
BACKLOG = "server.c, in_backlog: what ss(8) shows as Recv-Q of a listener, getsockopt gives for TCP_INFO: tcp(7)"
HARM = "server.c, in_queue and in_backlog: who only asks takes nothing out, opens nothing, and does not wait"
SERVED = "server.c: what is in the queue is the workers'. Who else takes from it?"
WORKERS = random.randint(2, 4)


def expect_figures(server, clients):
    """Expects the server to say how many of these clients, of which none is being served, wait in which place."""
    expect_rest(server, look=HARM)
    waiting = connections(server, clients)
    accepted = set(waiting.values()) - {0}
    held = {what for pid in [server.pid, *server.living_children()] for what in descriptors(pid).values()}
    queue, backlogged = sum(f"socket:[{inode}]" not in held for inode in accepted), backlog(server)

    said = len(figures(server))
    os.kill(server.pid, signal.SIGUSR1)
    expect(wait_until(lambda: len(figures(server)) > said), look=HARM,
           expected="the server to say on SIGUSR1 how many wait", happened="it says nothing")
    told = tuple(map(int, figures(server)[-1]))
    lost = waiting.keys() - connections(server, clients).keys()
    expect(not lost, expected="all who wait to wait on", happened=f"{len(lost)} of their connections are gone",
           look=SERVED)
    expect(told[0] == queue, expected=f"\"{queue} in the queue\"", happened=f"it says {told[0]}", look=QUEUE)
    expect(told[1] == backlogged, expected=f"\"{backlogged} in the backlog\"", happened=f"it says {told[1]}",
           look=BACKLOG)
    return queue, backlogged


def connections(server, clients):
    """Those of these clients that are established at the server's end: {port of the client: inode}, 0 in the backlog."""
    mine = {client.getsockname()[1] for client in clients}
    return {remote: inode for local, remote, tcp_state, _, inode in tcp_sockets()
            if (local, tcp_state) == (server.port, 1) and remote in mine}


def figures(server):
    return re.findall(r"(-?\d+) in the queue, (-?\d+) in the backlog", server.stderr())


def crowd(server, count):
    """So many clients, each of which has said something: {connection: what}."""
    return {come(server, data): data for data in (word() for _ in range(count))}


def keep_busy(server):
    """A client for each worker, which it serves."""
    staying = [come(server, WORD) for _ in range(WORKERS)]
    for client in staying:
        expect_served(server, client, WORD, look=SERVED, expected="a worker for each of these clients")
    return staying


begin()
step(f"start the server with {WORKERS} workers, and ask (SIGUSR1) when nobody waits")
with Server("server", WORKERS) as server:
    expect_figures(server, [])
    before = len(descriptors(server.pid))

    few, many = random.randint(2, 6), random.randint(30, 45)
    step(f"keep all workers busy, let {few} clients come, and ask")
    staying = keep_busy(server)
    clients = crowd(server, few)
    expect_figures(server, clients)

    step(f"let {many} more come, and ask")
    clients |= crowd(server, many)
    queue, backlogged = expect_figures(server, clients)
    if queue == 0 or backlogged == 0:
        fail("some to wait in the queue, and some in the backlog", f"it is {queue} and {backlogged}",
             "server.c, main and move_connections: they were right as they were")

    step("kill a worker, and the client that it served goes; ask when another one has taken its place")
    victim = next(pid for pid in holders(server, staying[0]) if pid != server.pid)
    kill(victim)
    staying.pop(0).close()
    # Its successor serves the first who waits, and everybody else moves up.
    first = next(iter(clients))
    expect_served(server, first, clients.pop(first), look=SERVED)
    expect_figures(server, clients)
    staying.append(first)

    step("let one worker after the other go on, until nobody waits, and ask")
    for client in staying:
        client.close()
    expect_all_served(server, clients, look=SERVED)
    expect_figures(server, [])

    step(f"keep all workers busy once more, let {few} clients come, and ask")
    staying = keep_busy(server)
    clients = crowd(server, few)
    expect_figures(server, clients)
    after = len(descriptors(server.pid))
    expect(after == before, expected=f"the supervisor to have {before} descriptors open, as at first", look=HARM,
           happened=f"it has {after}")

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, heed_signals")
passed()
