"""A listener on the port that was asked for, or none; and on a port that has only a past."""
import errno

from lesson import *

# An address of our own, so that no other program's ports are in our way.
ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 256}.{os.getpid() // 25600 % 254 + 1}"
LOOK_BIND = "server.c, listen_on: which calls can fail, and are they asked whether they did? bind(2), ERRORS"
LOOK_REUSE = "server.c, listen_on, and `ss -tan`: what is left of the connection of the last server? tcp(7), socket(7)"


LOOK_SHARED = "server.c, listen_on: which option lets several sockets listen on one port? " \
              "SO_REUSEPORT in socket(7)"


def shared(port):
    """Whether somebody else can listen on the port beside the server: then another server could."""
    with socket.socket() as beside:
        beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            beside.bind((ADDRESS, port))
            beside.listen()
        except OSError:
            return False
        return True


def start(port):
    return Piped("server", "-a", ADDRESS, "-p", port, "2")


def first_line(server):
    server.collect(lambda: b"\n" in server.out)
    return server.stdout().partition("\n")[0]


begin()
step("start a server on a port that is free")
with Server("server", "-a", ADDRESS, "2") as server:
    port = server.port

    step(f"start a second server on the same address and port, {ADDRESS}:{port}")
    with start(port) as second:
        said = first_line(second)
        same = said.startswith(f"listening on {ADDRESS}:{port},")
        expect(not said, expected="it to end, since the port is taken",
               happened=f'it says "{said}"', look=LOOK_SHARED if same else LOOK_BIND)
        status = second.wait()
        expect(status is not None, expected="it to end, since the port is taken",
               happened=f"after {PATIENCE:g} seconds more it still runs, and has not said that it listens",
               look="server.c, listen_on: it is not for the server to wait until a port is free. What does main do "
                    "with an error?")
        expect(status == 1 and os.strerror(errno.EADDRINUSE) in second.stderr(),
               expected=f'it to end with exit status 1, and to say "{os.strerror(errno.EADDRINUSE)}"',
               happened=f'its exit status is {status}, and it says "{second.stderr().strip()}"', look=LOOK_BIND)

    step(f"listen on {ADDRESS}:{port} beside the first server, by a socket with SO_REUSEPORT")
    expect(not shared(port), expected="that to fail, since the port is taken", happened=
           "it can be done: two servers that start at the same moment, or by other ways, share the "
           "port", look=LOOK_SHARED)

    step("have the first server serve a client, end it while the client is there, and start it again")
    client = socket.create_connection((ADDRESS, port), timeout=PATIENCE)
    expect_echo(client, WORD, look="server.c: what is done to the connections of this listener?")
    expect_stop(server, look="server.c, serve: SIGTERM arrives there, and main returns")
    try:
        # Its end-of-file: who closes first keeps the port in TIME_WAIT, and the children may end
        # after their parent.
        client.recv(1)
    except ConnectionResetError:
        fail("the client to read end-of-file", "the connection was reset, which takes the client "
             "what is still on its way", "server.c, listen_on: SO_LINGER, which connections "
             "inherit, in socket(7). What is left of a connection in TIME_WAIT does no harm: which "
             "option lets bind pass it over?")
    client.close()
with start(port) as again:
    said = first_line(again)
    expect(said.startswith(f"listening on {ADDRESS}:{port},"), expected=f"it to listen on port {port} again",
           happened=f'it says "{said or again.stderr().strip()}"', look=LOOK_REUSE)
    expect_echo(socket.create_connection((ADDRESS, port), timeout=PATIENCE), WORD, look=LOOK_REUSE)

step("start a server on an address that is none of this machine's, 192.0.2.1")
with Piped("server", "-a", "192.0.2.1", "-p", "0", "2") as stranger:
    said = first_line(stranger)
    expect(not said, expected="it to end, since it cannot listen there", happened=f'it says "{said}"', look=LOOK_BIND)
    status = stranger.wait()
    expect(status == 1 and os.strerror(errno.EADDRNOTAVAIL) in stranger.stderr(),
           expected=f'it to end with exit status 1, and to say "{os.strerror(errno.EADDRNOTAVAIL)}"',
           happened=f'its exit status is {status}, and it says "{stranger.stderr().strip()}"', look=LOOK_BIND)
passed()
