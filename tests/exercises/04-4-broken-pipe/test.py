"""A peer goes at the worst moment: a client before its echo is sent, a worker before its connection is."""
from lesson import *


SERVED = "server.c, hand_over and serve_client: the way of a connection to its worker, and back " \
         "to the client"


def expect_to_go_on(server, client, look):
    """The master lives on, until the client has something to read; or it is told how it ended."""
    wait_until(lambda: select.select([client], [], [], 0)[0] or state(server.pid) in ("Z", None))
    status = server.wait(0)
    expect(status is None, expected="the master to go on, and a new worker to serve the client",
           happened=lambda: f"the master was ended by signal {-status}, {signal.Signals(-status).name}"
           if status < 0 else f"the master ended with exit status {status}; it said: {server.stderr().strip()}",
           look=look)


def expect_to_live(worker):
    """A worker has not ended; or it is told how, if it is a zombie still."""
    try:
        with open(f"/proc/{worker}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return
    if fields[0] != "Z":
        return
    status = os.waitstatus_to_exitcode(int(fields[49]))  # field 52 of proc_pid_stat(5)
    expected = "the worker to give that client up, and to be idle again"
    if status < 0:
        fail(expected, f"the worker was ended by signal {-status}, {signal.Signals(-status).name}",
             "server.c, serve_client: what does write do when the client has reset the connection? "
             "write(2), EPIPE; signal(7). And what does a worker inherit of how its master treats "
             "signals? process.h, fork_child")
    fail(expected, f"the worker has ended, with exit status {status}",
         "server.c, serve_client: what does the worker do when a send fails? It is the affair of one "
         "client, and others will come")


begin()
step("start the server with 1 worker, and reset the connection before the worker, which is stopped, has echoed all")
with Server("server", "1") as server:
    connection = server.connect()
    expect_echo(connection, WORD, look=SERVED)
    serves = [pid for pid in holders(server, connection) if pid != server.pid]
    expect(serves, expected="a worker to have the connection", happened="none has it", look=SERVED)
    worker = serves[0]
    settle(server)
    stop_process(worker)
    stop_process(server.pid)  # so if the worker ends, it stays a zombie, which can be asked
    connection.sendall(b"and more")
    connection.shutdown(socket.SHUT_WR)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    port = connection.getsockname()[1]
    connection.close()  # with this option it resets the connection
    wait_until(lambda: not any((local, remote) == (server.port, port) for local, remote, *_ in tcp_sockets()))
    send_signal(worker, signal.SIGCONT)
    expect(all_rest([worker]), expected="the worker to give that client up, and to be idle again",
           happened="the worker goes round and round: it takes all of a CPU",
           look="server.c, serve_client: what does the worker do when a send fails? Will the next one "
                "succeed?")
    expect_to_live(worker)
    send_signal(server.pid, signal.SIGCONT)
    again = server.connect()
    expect_echo(again, WORD, expected="the next client to be served", look=SERVED)
    expect(server.children() == [worker], expected="the worker to serve the next client",
           happened="the worker has ended, and another one serves", look=SERVED)
    again.close()

step("start the server with 2 workers, and stop the master; kill both workers, connect, and let the master go on")
with Server("server", "2") as server:
    settle(server)
    expect_echo(server.connect(), WORD, look=SERVED)
    settle(server)
    os.kill(server.pid, signal.SIGSTOP)
    wait_until(lambda: state(server.pid) == "T")
    kill(*server.children())
    client = server.connect()
    wait_until(lambda: server_end(server, client) is not None)
    os.kill(server.pid, signal.SIGCONT)
    client.sendall(WORD)
    expect_to_go_on(server, client, "server.c, where the connection is sent to a worker that is dead: sendmsg(2), EPIPE "
                                    "and MSG_NOSIGNAL; signal(7)")
    expect(wait_until(lambda: len(server.living_children()) == 2), expected="two new workers",
           happened=lambda: f"{len(server.living_children())} living workers",
           look="server.c, hand_over: what becomes of a worker that is dead?")
    expect_reply(client, WORD, expected="the client to be served by a new worker",
                 look="server.c, hand_over: the worker that was to have the connection is dead; what of the connection?")

    step("let the channels of both workers take nothing more, which select does not see, as when they die just behind "
         "it; connect")
    settle(server)
    workers, copies = server.living_children(), []
    for pid in workers:
        stop_process(pid)
        number = next((number for number, what in descriptors(pid).items() if what.startswith("socket:")), None)
        expect(number is not None, expected="each worker to have its channel open", happened="one has no socket",
               look="server.c, worker_start and worker_begin")
        copies.append(copy_of(pid, number))
    if None not in copies:  # where the kernel lets us
        for copy in copies:
            with socket.socket(fileno=copy) as end:
                end.shutdown(socket.SHUT_RD)
        rests(server.pid)
        last = server.connect()
        last.sendall(WORD)
        expect_to_go_on(server, last, "server.c, hand_over: however late the master looks what has become of a worker, it "
                                      "can die behind that. sendmsg(2), EPIPE and MSG_NOSIGNAL; signal(7)")
        expect_reply(last, WORD, expected="the client to be served by a new worker",
                     look="server.c, hand_over: the worker that was to have the connection is dead; what of it?")
    else:
        send_signal(workers[0], signal.SIGCONT)
        send_signal(workers[1], signal.SIGCONT)

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, serve")
passed()
