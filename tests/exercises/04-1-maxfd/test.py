"""select is to see the listener, `signals`, and every worker's channel,
whichever of them is the highest."""
from lesson import *

LOOK = "server.c, wait_readable: what does the first argument of select mean? select(2)"


def what_select_sees(server):
    """The number that select was given, from /proc/PID/syscall where that can be read, and what it
    should see."""
    listeners = {f"socket:[{inode}]" for port, _, tcp_state, _, inode in tcp_sockets()
                 if (port, tcp_state) == (server.port, 10)}
    opened = descriptors(server.pid)
    listener = next((number for number, what in opened.items() if what in listeners), None)
    try:
        with open(f"/proc/{server.pid}/syscall", encoding="ascii") as file:
            number, first, *_ = file.read().split()
        below = int(first, 16) if int(number) in SELECTS.get(os.uname().machine, ()) else None
    except (OSError, ValueError):
        below = None
    seen = f"; select looks at the descriptors below {below}" if below is not None else ""
    return (f"nothing came in {PATIENCE:g} seconds{seen}, the listener is descriptor {listener}, "
            f"and {max(opened, default=None)} the highest that is open")


SELECTS = {"x86_64": (23, 270), "aarch64": (72,), "riscv64": (72,)}  # select and pselect6


def connect_and_echo(server, look=LOOK):
    """Gives a connection, with the process that serves it."""
    connection = server.connect()
    connection.sendall(b"hello")
    expect(select.select([connection], [], [], PATIENCE)[0], expected="\"hello\" to come back",
           happened=lambda: what_select_sees(server), look=look)
    expect_reply(connection, b"hello", look=look)
    settle(server)
    return connection, next((pid for pid in holders(server, connection) if pid != server.pid), None)


def expect_two_at_a_time(server, look=LOOK):
    """Two clients are served at the same time, each by its own worker. Gives the two processes."""
    first, one = connect_and_echo(server, look)
    second, other = connect_and_echo(server, look)
    first.close()
    second.close()
    settle(server)
    return one, other


begin()
step("start the server with 2 workers, and send \"hello\"")
with Server("server", "2") as server:
    first, _ = connect_and_echo(server)

    step("connect a second time while the first client is still there")
    second, _ = connect_and_echo(server)

    step("close both connections, and connect twice more")
    first.close()
    second.close()
    expect_two_at_a_time(server, look="server.c, wait_readable: does select see that a worker is "
                                      "idle again? Of both?")

    step("kill the first worker; then kill both at once, while the master is stopped; connect "
         "twice, and twice more")
    first, _ = expect_two_at_a_time(server)
    # The place of a worker that has served is filled at once, and that of one that has not a moment
    # later: so the last place gets the lower channel.
    kill(first)
    wait_until(lambda: first not in server.children() and len(server.living_children()) == 2)
    settle(server)
    os.kill(server.pid, signal.SIGSTOP)
    wait_until(lambda: state(server.pid) == "T")
    killed = server.living_children()
    kill(*killed)
    os.kill(server.pid, signal.SIGCONT)
    wait_until(lambda: len(server.living_children()) == 2 and
               not set(killed) & set(server.children()))
    settle(server)
    for _ in range(2):
        expect_two_at_a_time(server, look="server.c, wait_readable: is every worker's channel "
                                          "watched, also when the last one in the table is not "
                                          "the highest?")

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, wait_readable: the descriptor `signals` is watched, too")
passed()
