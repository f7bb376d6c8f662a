"""Passes descriptors to a server: one, as it wants, and several. Looks at what it and its command have open."""
from lesson import *

begin()
folder = tempfile.TemporaryDirectory()
PATH = os.path.join(folder.name, "socket")
FILE = tempfile.NamedTemporaryFile()
TEXT = b"from the file: " + word() + b"\n"
FILE.write(TEXT)
FILE.flush()


SERVED = "filter.c, main: whatever one client has sent, the server ends its connection, and goes " \
         "on with the next one"
COMMAND = "filter.c, run: which descriptors does the command get as its standard input and output?"


def connect():
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(PATH)
    except OSError as error:
        fail("the server to take a connection", f"connect: {error.strerror}; the server "
             f"{server.how_it_ended()}", SERVED)
    return connection


def answer(connection):
    """All that comes until the server closes the connection."""
    received = bytearray()
    try:
        while part := connection.recv(4096):
            received += part
    except ConnectionResetError:  # it was closed with something unread
        pass
    connection.close()
    return bytes(received)


def expect_served(look=SERVED):
    connection = connect()
    with open(FILE.name, "rb") as file:
        socket.send_fds(connection, [b"x"], [file.fileno()])
    expect(answer(connection) == TEXT, "cat to send back what is in the file", "it did not", look)


def expect_no_more(before, look):
    """Expects that the server has no more descriptors open than these."""
    def more():
        return {number: what for number, what in descriptors(server.pid).items() if number not in before}

    def named(what):
        return "the file that was passed" if os.path.basename(what) == os.path.basename(FILE.name) else what

    expect(wait_until(lambda: not more()), "the server to have no more descriptors open than before",
           lambda: f"it has {len(more())} more, the first of them {min(more())} ({named(more()[min(more())])})", look)
    has = descriptors(server.pid)
    if not has:
        server.wait()
        fail("the server to go on with the next client", f"it {server.how_it_ended()}", SERVED)
    gone = [str(number) for number, what in sorted(before.items()) if has.get(number) != what]
    expect(not gone, "the server to have no fewer descriptors open than before", f"it has closed {' and '.join(gone)}, "
           "which it had from the start", "each close: does it know that this descriptor came in the message? cmsg_len "
           "tells how many did, and CMSG_DATA which")


def expect_listening():
    expect(wait_until(lambda: "listening on" in server.out() or server.status() is not None)
           and server.status() is None, "the server to say \"listening on SOCKET\"",
           lambda: f"it {server.how_it_ended()}", "filter.c, main: what comes before it says so")


step("start `filter SOCKET cat`, and pass it a file", SERVED)
with Attached("filter", PATH, "cat") as server:
    expect_listening()
    before = descriptors(server.pid)
    expect_served("receive_descriptor: the one descriptor that was asked for stays open until the command has it")

    step("connect and close, and send a byte without a descriptor", SERVED)
    connect().close()
    connection = connect()
    connection.send(b"x")
    answer(connection)
    expect_served()
    expect_no_more(before, "filter.c: what is open when receive_descriptor has returned -1?")

    step("pass two descriptors in one message, and that ten times", SERVED)
    for _ in range(10):
        connection = connect()
        socket.send_fds(connection, [b"x"], [FILE.fileno()] * 2)
        answer(connection)
    expect_no_more(before, "receive_descriptor: how many descriptors has the control message room for on a 64-bit "
                           "machine? CMSG_SPACE in cmsg(3)")

    step("pass eight descriptors in one message", SERVED)
    connection = connect()
    socket.send_fds(connection, [b"x"], [FILE.fileno()] * 8)
    answer(connection)
    expect_no_more(before, "receive_descriptor: cmsg_len tells how many descriptors have come")
    expect_served("receive_descriptor: what becomes of the next client?")

    step("pass the end of a pipe, write to its other end, and look at what cat has open", COMMAND)
    output, source = os.pipe()
    connection = connect()
    socket.send_fds(connection, [b"x"], [output])
    os.write(source, b"from the pipe\n")
    expect(connection.recv(100) == b"from the pipe\n", "cat to send back what came through the "
           "pipe", "it did not", COMMAND)
    cats = children_of(server.pid)
    expect(len(cats) == 1, "cat to be the one child of the server", f"it has {len(cats)} children",
           "filter.c: who starts the command, and as what?")
    has = descriptors(cats[0])
    more = {number: what for number, what in has.items() if number > 2}
    expect(not more, "cat to have descriptors 0, 1 and 2, and no other",
           "it has also " + ", ".join(f"{number} ({'the pipe again' if what == has[0] else what})"
                                      for number, what in sorted(more.items())),
           "receive_descriptor: what does exec do with the descriptor that came? MSG_CMSG_CLOEXEC in recvmsg(2)")
    os.close(source)
    os.close(output)
    expect(answer(connection) == b"", "cat to end when the pipe does", "it said more", COMMAND)
    expect_served()
    expect_no_more(before, "filter.c: what is open when run has returned?")

# Numbers right behind that of the descriptor that comes, so that two of a message do not stand beside each other.
step("start it with descriptors 6, 7 and 8 open, pass it one descriptor, and then two in one message", SERVED)
with Attached("filter", PATH, "cat", taken=(6, 7, 8)) as server:
    expect_listening()
    before = descriptors(server.pid)
    expect_served()
    expect_no_more(before, "filter.c: what is open when run has returned?")
    connection = connect()
    socket.send_fds(connection, [b"x"], [FILE.fileno()] * 2)
    answer(connection)
    expect_no_more(before, "receive_descriptor: which number has the second one? CMSG_DATA holds both")
passed()
