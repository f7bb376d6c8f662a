"""All workers are busy, and many clients come. A few may be accepted and wait in the queue, the others wait in the
backlog; and all are served."""
from lesson import *

MOST = 32  # that may wait where nobody sees them
LOOK = ("server.c, queue_make and move_connections: how many messages does the queue take before write_fd "
        "waits? SO_SNDBUF in socket(7): of which end, in which unit?")
WAITS = "server.c, move_connections: what wakes the acceptor when there is room, without its asking?"
SERVED = ("server.c, move_connections: what becomes of a client for whom there is no room now, and who goes on when "
          "there is?")
WORKERS = random.randint(1, 3)


def ends(server, clients):
    """The server's ends of these connections, as server_end says: 0 for one that waits in the backlog."""
    ports = {client.getsockname()[1] for client in clients}
    return [inode for local, remote, tcp_state, _, inode in tcp_sockets()
            if (local, tcp_state) == (server.port, 1) and remote in ports]


def crowd(server, count):
    """So many clients, each of which has said something: {connection: what}."""
    clients = {server.connect(): word() for _ in range(count)}
    for client, data in clients.items():
        client.sendall(data)
    # Who was turned away has no other end, but can be read.
    if not wait_until(lambda: len(ends(server, clients)) + len(select.select(clients, [], [], 0)[0]) >= count,
                      PATIENCE + 60):
        raise RuntimeError("connected, and not established at the other end")
    return clients


def keep_busy(server):
    """A client for each worker, which it serves."""
    staying = crowd(server, WORKERS)
    for client, data in staying.items():
        expect_served(server, client, data, look=SERVED, expected="a worker for each of these clients")
    return staying


begin()
step(f"start the server with {WORKERS} workers, and keep them busy")
with Server("server", WORKERS) as server:
    expect_rest(server, look="server.c, work and move_connections")
    for occasion in 1, 2:
        staying = keep_busy(server)

        count = MOST + random.randint(20, 50)
        step(f"let {count} clients come, while all workers are busy")
        clients = crowd(server, count)
        expect_rest(server, look=WAITS)
        gone = [client for client in clients if select.select([client], [], [], 0)[0]]
        expect(not gone, expected="the clients to wait", happened=f"{len(gone)} were turned away", look=SERVED)
        waiting = sum(inode != 0 for inode in ends(server, clients))
        # One more is in the acceptor's hands.
        expect(waiting <= MOST + 1, look=LOOK,
               expected=f"at most {MOST} of the clients to be accepted, and the others to wait in the backlog",
               happened=f"{waiting} of {count} are accepted, and nobody serves them; {backlog(server)} wait in "
                        "the backlog")
        if occasion == 1:
            expect(wakes(server.pid, *server.living_children()) < 3, expected="all processes to sleep meanwhile",
                   happened="one wakes up again and again, only to find that nothing has changed", look=WAITS)

        step("let the workers go on")
        for client in staying:
            client.close()
        expect_all_served(server, clients, look=SERVED)

    step("keep the workers busy, let clients come again, and end the server with SIGTERM")
    staying = keep_busy(server)
    clients = crowd(server, MOST + 20)
    expect_rest(server, look=WAITS)
    expect_stop(server, look="server.c, supervise")
passed()
