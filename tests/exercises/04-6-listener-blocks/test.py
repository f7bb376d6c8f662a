"""After a client has come the master must wait in select, where it sees everything, and not in accept."""
from lesson import *

LOOK = "server.c, accept_connections: what does accept do when nobody waits? accept(2), EAGAIN; and main, on the " \
       "listener's flags"

WORKERS, MORE = 8, 6
LOOK_WAITS = "server.c, accept_connections: nobody waits any more, accept says EAGAIN. What else " \
             "may come now, and where does the master hear all of it?"



def listener_has_time_out(server):
    """SO_RCVTIMEO of the listener is set. False, too, where that cannot be seen."""
    number = listener_of(server)
    copy = None if number is None else copy_of(server.pid, number)
    if copy is None:
        return False
    with socket.socket(fileno=copy) as listener:
        timeval = listener.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
        return any(timeval)


begin()
step(f"start the server with {WORKERS} workers, and connect; wait a little, and send a word")
with Server("server", WORKERS) as server:
    settle(server)
    silent = server.connect()
    wait_until(lambda: server_end(server, silent) or select.select([silent], [], [], 0)[0])
    expect(all_rest([server.pid]), expected="the master to wait for what comes next",
           happened="it never waits: it goes round and round, and takes all of a CPU",
           look="server.c, accept_connections: when nobody waits any more, what does accept "
                "return, and what ends the loop?")
    expect("cannot accept" not in server.stderr(),
           expected="the end of the loop to be no error: all were accepted who waited",
           happened=lambda: f"it said: {server.stderr().strip()}; and for a moment, it looks at no "
                            "client",
           look="server.c, accept_connections: what does errno say when nobody waits? accept(2), "
                "EAGAIN")
    expect(not listener_has_time_out(server),
           expected="the worker to wait for the word as long as it takes",
           happened="the listener has a time-out, SO_RCVTIMEO, and an accepted connection takes that "
                    "over from the listener", look="server.c, main; socket(7) on SO_RCVTIMEO")
    settle(server)
    expect_echo(silent, WORD, look="server.c, accept_connections: is it the listener or the connection that shall "
                                       "not block? What does echo do with a connection that does not block?")

    step("kill a worker that is idle")
    idle = [pid for pid in server.children() if pid not in holders(server, silent)]
    expect(len(idle) == WORKERS - 1, expected=f"{WORKERS} workers, of whom one serves",
           happened=f"{len(idle)} do not", look=LOOK)
    victim = idle[0]
    kill(victim)
    expect(wait_until(lambda: victim not in server.children()
                      and len(server.living_children()) == WORKERS), expected="a new worker in its "
           "place", look=LOOK, happened=lambda: "nothing: the worker is "
           f"{'a zombie' if state(victim) == 'Z' else 'reaped'}, and there are "
           f"{len(server.living_children())} others; the master waits in a call that does not "
           "return")

    step(f"connect {MORE} times more, one after another, and say nothing; look each time where the "
         "master waits")
    settle(server)
    more, before = [], sleeps(server.pid)
    for _ in range(MORE):
        more.append(server.connect())
        expect(wait_until(lambda: set(holders(server, more[-1])) - {server.pid}),
               expected="a worker to have the connection", happened="none has it", look=LOOK)
        rests(server.pid)
        call = call_of(server.pid)[0]
        expect(call not in ("poll", "ppoll", "sleep"), expected="the master to wait in select, "
               "where it hears everything", happened=f"it waits in {call}: until that ends, it "
               "hears no signal and no worker", look=LOOK_WAITS)
    count = sleeps(server.pid) - before
    expect(count <= MORE + MORE // 2, expected="the master to wait in select, once for each "
           "connection", happened=f"it went to sleep {count} times, so it waits in another place, "
           "too, and hears no signal and no worker there", look=LOOK_WAITS)
    for connection in more:
        connection.close()

    step("come with more clients than workers while the master is stopped, and let it go on; twice")
    for _ in range(2):
        settle(server)
        stop_process(server.pid)  # so it finds all of them at once
        clients = [come(server, WORD) for _ in range(2 * WORKERS)]
        send_signal(server.pid, signal.SIGCONT)
        settle(server)
        held = sum(server.pid in holders(server, client) for client in clients)
        if held:
            remark("the master accepts a client for whom no worker is idle; the backlog would hold it "
                   "for less")
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
