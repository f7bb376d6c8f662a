"""A worker may open no further descriptor, while clients wait in the queue. It must leave them there."""
from lesson import *

LOOK = ("server.c, work: what has been taken from the queue, and cannot be opened, is lost. What can "
        "a worker know before it takes? And when it has lost one, why should the next fare better? "
        "unix(7) on SCM_RIGHTS")
SPINS = ("server.c, work: the queue stays readable as long as nobody takes from it. What does a "
         "worker wait for that must not take?")
AGAIN = "server.c, work: who has no room now may have some later, and who ends is replaced"
KEPT = "server.c, work: what is opened to see whether there is room takes room away"
WORKERS = random.randint(2, 3)


def limit(pid, count):
    """How many descriptors a process may have open. To raise it again is anyone's right, up to the hard limit."""
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, hard))


def has_ended(client):
    """Whether the server has closed or reset a connection, and sent nothing."""
    try:
        return bool(select.select([client], [], [], 0)[0]) and client.recv(1, socket.MSG_PEEK) == b""
    except ConnectionResetError:
        return True


def be_served(server, look="server.c, work and move_connections", expected=None):
    """A new client, after it has been served; it stays."""
    data = word()
    client = come(server, data)
    expect_served(server, client, data, look, expected)
    return client


def one_for_each(server):
    """As many clients as there are workers, all of them being served at the same time."""
    return [be_served(server, AGAIN, f"{WORKERS} clients to be served at the same time") for _ in range(WORKERS)]


def idle(server):
    """How many descriptors each child has open when there is nobody to serve."""
    expect_rest(server, look=SPINS)
    return {pid: len(descriptors(pid)) for pid in server.living_children()}


begin()
step(f"start the server with {WORKERS} workers, and be {3 * WORKERS} clients, one after the other")
with Server("server", WORKERS) as server:
    before = idle(server)
    for _ in range(3 * WORKERS):
        be_served(server).close()
    after = idle(server)
    expect(after == before, expected="every process to have as many descriptors open as before", look=KEPT,
           happened=lambda: f"there are {sum(after.values())}, where there were {sum(before.values())}")

    for _ in range(2):
        count = random.randint(4, 7)
        step(f"keep every worker at work, allow one of them no more descriptors, let {count} clients come, and go "
             "away from that worker")
        staying = one_for_each(server)
        rests(server.pid)  # a worker may serve before the acceptor has closed its copy
        random.shuffle(staying)
        worker = (holders(server, staying[0]) or [server.pid])[0]
        expect(worker != server.pid, expected="a worker to have the connection that it serves",
               happened="none has it open", look="server.c, work")
        usual = resource.prlimit(worker, resource.RLIMIT_NOFILE)[0]
        limit(worker, number_of(worker, server_end(server, staying[0])))
        clients = {come(server, data): data for data in (word() for _ in range(count))}
        staying.pop(0).close()
        expect_rest(server, look=SPINS)
        lost = [client for client in clients if has_ended(client)]
        if len(lost) == 1:  # and the next one, if it goes on taking, whatever its pause
            wait_until(lambda: worker not in server.living_children() or sum(map(has_ended, clients)) > 1, 3)
            lost = [client for client in clients if has_ended(client)]
        expect(len(lost) < 2, look=LOOK,
               expected="the clients to wait in the queue for another worker",
               happened=f"{len(lost)} of {count} were lost: this worker has taken them from the queue, and could "
                        "not open one of them")
        if lost:
            remark("one client was lost in finding out that there is no room; a worker can look before it takes")
            clients.pop(lost[0])
            lost[0].close()

        step("go away from another worker, too, which has room")
        staying.pop().close()
        expect_all_served(server, clients, look=AGAIN)

        step(f"allow the worker its descriptors again, and be {WORKERS} clients at once")
        for client in staying:
            client.close()
        if worker in server.living_children():
            limit(worker, usual)
        for client in one_for_each(server):
            client.close()

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, supervise")
passed()
