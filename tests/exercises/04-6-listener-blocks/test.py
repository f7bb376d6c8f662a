"""After a client has come the master must wait in select, where it sees everything, and not in accept."""
from lesson import *

LOOK = "server.c, accept_connections: what does accept do when nobody waits? accept(2), EAGAIN; and main, on the " \
       "listener's flags"

begin()
step("start the server with 3 workers, and connect; wait a little, and send a word")
with Server("server", "3") as server:
    settle(server)
    silent = server.connect()
    wait_until(lambda: server_end(server, silent) or select.select([silent], [], [], 0)[0])
    settle(server)
    expect_echo(silent, WORD, look="server.c, accept_connections: is it the listener or the connection that shall "
                                       "not block? What does echo do with a connection that does not block?")

    step("kill a worker that is idle")
    victim = next(pid for pid in server.children() if pid not in holders(server, silent))
    kill(victim)
    expect(wait_until(lambda: victim not in server.children() and len(server.living_children()) == 3),
           expected="a new worker in its place", look=LOOK,
           happened=lambda: f"nothing: the worker is {'a zombie' if state(victim) == 'Z' else 'reaped'}, and there are "
                            f"{len(server.living_children())} others; the master waits in a call that does not return")

    step("come with more clients than workers, twice")
    for _ in range(2):
        clients = [server.connect() for _ in range(6)]
        for client in clients:
            client.sendall(WORD)
        silent.close()
        expect_replies(clients, WORD, look=LOOK)

    step("look at the flags of the listener (/proc/PID/fdinfo)")
    listener = listener_of(server)
    expect(listener is None or flags(server.pid, listener) & os.O_NONBLOCK,
           expected="the listener not to block: O_NONBLOCK",
           happened="it blocks. What select saw may be gone when accept looks, and then the master waits there, and "
                    "hears nothing",
           look="server.c, main: who says that the listener blocks, and for whose sake? select(2), BUGS")

    step("end the server with SIGTERM")
    expect_stop(server, look=LOOK)
passed()
