"""First `run` alone, with the test as runner; then `runner` alone, with the test as client; then both."""
from lesson import *

import array

SEND = "send_request: one message, with one control message that holds three numbers. cmsg(3)"
RECEIVE = "receive_request: cmsg_len, and the order of what it covers"

END = random.randint(3, 99)  # an exit status

folder = tempfile.TemporaryDirectory()
PATH = os.path.join(folder.name, "socket")
INPUT = os.path.join(folder.name, "input")
TEXT = f"from the input: {WORD.decode()}\n"
pathlib.Path(INPUT).write_text(TEXT)


def receive_descriptors(channel):
    """The next message: (bytes, descriptors)."""
    data, controls, _, _ = channel.recvmsg(8192, socket.CMSG_SPACE(16 * 4))
    came = array.array("i")
    for level, kind, content in controls:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            came.frombytes(content[:len(content) // 4 * 4])
    return data, list(came)


def read_from(fd):
    """What comes from a descriptor, or b"" if nothing does."""
    try:
        return os.read(fd, 100) if select.select([fd], [], [], PATIENCE)[0] else b""
    except OSError:  # it is not for reading
        return b""


def write_to(fd, data):
    try:
        os.write(fd, data)
    except OSError:  # it is not for writing
        pass


REPLY = "runner.c: whatever came, the runner replies to it or refuses it, and goes on with the " \
        "next one"


def connect():
    """A connection to the runner."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel.settimeout(PATIENCE)
    try:
        channel.connect(PATH)
    except OSError as error:
        fail("the runner to take a connection", f"connect: {error.strerror}; it "
             f"{runner.how_it_ended()}", REPLY)
    return channel


def reply(channel):
    """The runner's reply; b"" when it closes the connection without one."""
    try:
        return channel.recv(16)
    except ConnectionError:
        return b""
    except socket.timeout:
        fail("a reply of the runner", f"none came in {PATIENCE:g} seconds", REPLY)


def expect_run(look=RECEIVE):
    """Has a command run, with a file, a pipe and another pipe, and expects each in its place."""
    channel = connect()
    output, error = os.pipe(), os.pipe()
    with open(INPUT, "rb") as file:
        socket.send_fds(channel, [f"cat; echo a problem >&2; exit {END}".encode()],
                        [file.fileno(), output[1], error[1]])
    os.close(output[1])
    os.close(error[1])
    status = reply(channel)
    expect(status != b"", "the runner to run the command, and to reply with its status",
           lambda: f"it closed the connection{said(runner.err())}", look)
    read = [read_from(output[0]), read_from(error[0])]
    for fd in output[0], error[0]:
        os.close(fd)
    expect(read == [TEXT.encode(), b"a problem\n"], "the command to read from the first descriptor, to write to "
           "the second, and its errors to the third", f"through the second came {read[0]}, the third {read[1]}", look)
    expect(status == bytes([END]), f"the runner to reply with exit status {END}", f"it replied {status}", look)


def said(text):
    return f", and said \"{text.strip().splitlines()[-1]}\"" if text.strip() else ""


def more_than(before):
    return {number: what for number, what in descriptors(runner.pid).items() if number not in before}


def expect_closed(before, look):
    expect(wait_until(lambda: not more_than(before)), "the runner to have no more descriptors open than before",
           lambda: f"it has {len(more_than(before))} more", look)
    has = descriptors(runner.pid)
    gone = [str(number) for number, what in sorted(before.items()) if has.get(number) != what]
    expect(not has or not gone, "the runner to have no fewer descriptors open than before",
           f"it has closed {' and '.join(gone)}, which it had from the start",
           "each close: does it know that this descriptor came with the request?")


def expect_listening():
    expect(wait_until(lambda: "listening on" in runner.out() or runner.status() is not None)
           and runner.status() is None, "the runner to say \"listening on SOCKET\"",
           lambda: f"it {runner.how_it_ended()}", "runner.c, main: what comes before it says so")


begin()
step("start `run SOCKET COMMAND`, receive its request, and write to the second and third descriptor of it")
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, open(INPUT, "rb") as file:
    listener.bind(PATH)
    listener.listen()
    listener.settimeout(PATIENCE)
    with Attached("run", PATH, "the command", stdin=file) as client:
        wait_until(lambda: select.select([listener], [], [], 0)[0] or client.status() is not None)
        channel, _ = listener.accept()
        channel.settimeout(PATIENCE)
        wait_until(lambda: select.select([channel], [], [], 0)[0] or client.status() is not None)
        data, came = receive_descriptors(channel)
        expect(data, "a request to come", lambda: f"none came: run {client.how_it_ended()}", SEND)
        expect(data == b"the command", "the bytes of the request to be the command, without a NUL", f"they are {data}",
               SEND)
        expect(len(came) == 3, "three descriptors to come with the first message", f"{len(came)} came", SEND)
        write_to(came[1], b"output")
        write_to(came[2], b"errors")
        read = read_from(came[0])
        expect((read, client.out(), client.err()) == (TEXT.encode(), "output", "errors"),
               "the descriptors to be its standard input, output and error, in this order",
               lambda: f"reading from the first gave {read}; its output is \"{client.out()}\", its errors are "
                       f"\"{client.err()}\"", SEND)
        for fd in came:
            os.close(fd)
        channel.send(bytes([END]))
        expect(client.wait() == END, f"run to end with status {END}, which is the reply",
               lambda: f"it {client.how_it_ended()}", "run.c: what is done with the reply?")
        channel.close()
os.unlink(PATH)

step("start `runner SOCKET`, and send it a command and three descriptors")
with Attached("runner", PATH) as runner:
    expect_listening()
    before = descriptors(runner.pid)
    expect_run()
    expect_closed(before, "receive_request: what is open that is not among the three?")

    step("have `run` and `runner` do it together: tr a-z A-Z")
    with open(INPUT, "rb") as file, Attached("run", PATH, f"tr a-z A-Z; exit {END + 1}",
                                                 stdin=file) as client:
        expect(client.wait() == END + 1 and client.out() == TEXT.upper(), f"{TEXT.upper()!r}, and "
               f"exit status {END + 1}", lambda: f"it {client.how_it_ended()}", "request.c: do "
               "both agree on what a request is?")

    step("have `cat` run, with pipes, and look at what it has open")
    channel = connect()
    source, output = os.pipe(), os.pipe()
    socket.send_fds(channel, [b"exec cat"], [source[0], output[1], output[1]])
    os.write(source[1], b"hello")
    read_from(output[0])
    running = children_of(runner.pid)
    expect(len(running) == 1, "cat to be the one child of the runner", f"it has {len(running)} "
           "children", "runner.c: who starts the command, and as what?")
    more = {number: what for number, what in descriptors(running[0]).items() if number > 2}
    expect(not more, "cat to have descriptors 0, 1 and 2, and no other",
           "it has also " + ", ".join(f"{number} ({what})" for number, what in sorted(more.items())),
           "receive_request: what does exec do with the descriptors that came? MSG_CMSG_CLOEXEC in recvmsg(2)")
    for fd in *source, *output:
        os.close(fd)
    reply(channel)

    for count in 0, 1, 2, 4, 8:
        step(f"send a request with {count or 'no'} descriptor{'' if count == 1 else 's'} instead of three, five times")
        for _ in range(5):
            with open(INPUT, "rb") as file:
                channel = connect()
                socket.send_fds(channel, [f"touch {folder.name}/was-run".encode()], [file.fileno()] * count)
            answer = reply(channel)
            expect(answer == b"" and not os.path.exists(f"{folder.name}/was-run"), "the runner to refuse it",
                   "it has run the command", "receive_request: how many descriptors have come?")
        expect_closed(before, "receive_request: a request that is refused may have brought descriptors" if count < 3
                      else "receive_request: how many descriptors has the buffer room for, with its padding? Those "
                      "beyond the third are open, too")

    step("send three descriptors in an empty packet, which looks like end-of-file, five times")
    for _ in range(5):
        channel = connect()
        with open(INPUT, "rb") as file:
            socket.send_fds(channel, [b""], [file.fileno()] * 3)
        reply(channel)
    expect_closed(before, "receive_request: 0 bytes may have brought descriptors, too")
    expect_run("receive_request: what has the request before left behind?")

    step("send a command that is longer than COMMAND_MAX")
    channel = connect()
    with open(INPUT, "rb") as file:
        socket.send_fds(channel, [f"touch {folder.name}/was-run #".encode() + b"x" * 5000], [file.fileno()] * 3)
    answer = reply(channel)
    expect(answer == b"", "the runner to refuse it", "it has run the command", "MSG_TRUNC in recvmsg(2)")
    expect_closed(before, "receive_request: a request that is refused has brought descriptors as well")

    step("lower the runner's limit so that there is room for two of three descriptors")
    limit = resource.prlimit(runner.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(runner.pid, resource.RLIMIT_NOFILE, (max(before) + 4, limit[1]))
    channel = connect()
    with open(INPUT, "rb") as file:
        socket.send_fds(channel, [f"touch {folder.name}/was-run".encode()], [file.fileno()] * 3)
    answer = reply(channel)
    expect(answer == b"" and not os.path.exists(f"{folder.name}/was-run"), "the runner to refuse the request",
           "it has run the command", "msg_flags after recvmsg, MSG_CTRUNC; and cmsg_len")
    expect("Too many open files" in runner.err(), "the runner to say \"Too many open files\" (EMFILE)",
           lambda: f"it refused the request{said(runner.err())}", "request.h, EMFILE; MSG_CTRUNC in recvmsg(2)")
    expect_closed(before, "receive_request: two of the three descriptors have come")
    resource.prlimit(runner.pid, resource.RLIMIT_NOFILE, limit)
    expect_run()

# Numbers right behind that of the first that comes, so that those of a request do not stand in a row.
step("start it with descriptors 6, 7 and 8 open, and send it a command and three descriptors, and then four")
with Attached("runner", PATH, taken=(6, 7, 8)) as runner:
    expect_listening()
    before = descriptors(runner.pid)
    expect_run()
    expect_closed(before, "runner.c: what is open when the command has ended?")
    channel = connect()
    with open(INPUT, "rb") as file:
        socket.send_fds(channel, [b"true"], [file.fileno()] * 4)
    reply(channel)
    expect_closed(before, "receive_request: which numbers have those that are too many? CMSG_DATA holds all")
passed()
