"""The listener is the highest descriptor that select has to watch; the workers' channels lie below it."""
from lesson import *

LOOK = "server.c, wait_readable: what does the first argument of select mean? select(2)"


def what_select_sees(server):
    """The number that select was given, from /proc/PID/syscall where that can be read, and the listener."""
    listeners = {f"socket:[{inode}]" for port, _, tcp_state, _, inode in tcp_sockets()
                 if (port, tcp_state) == (server.port, 10)}
    listener = next((n for n, what in descriptors(server.pid).items() if what in listeners), None)
    try:
        with open(f"/proc/{server.pid}/syscall", encoding="ascii") as file:
            number, first, *_ = file.read().split()
        below = int(first, 16) if int(number) in SELECTS.get(os.uname().machine, ()) else None
    except (OSError, ValueError):
        below = None
    seen = f"; select looks at the descriptors below {below}" if below is not None else ""
    return f"nothing came in {PATIENCE:g} seconds{seen}, and the listener is descriptor {listener}"


SELECTS = {"x86_64": (23, 270), "aarch64": (72,), "riscv64": (72,)}  # select and pselect6

begin()
step("start the server with 2 workers, and send \"hello\"")
with Server("server", "2") as server:
    first = server.connect()
    first.sendall(b"hello")
    expect(select.select([first], [], [], PATIENCE)[0], expected="\"hello\" to come back",
           happened=lambda: what_select_sees(server), look=LOOK)
    expect_reply(first, b"hello", look=LOOK)

    step("connect a second time while the first client is still there")
    second = server.connect()
    expect_echo(second, b"hello", look=LOOK)

    step("kill both workers, and connect twice")
    kill(*server.children())
    for connection in server.connect(), server.connect():
        expect_echo(connection, b"hello", look="server.c, wait_readable: is every worker's channel watched?")

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, wait_readable: the descriptor `signals` is watched, too")
passed()
