"""Plays the server: starts the worker with a channel as descriptor 0, and hands it connections."""
from lesson import *

import hashlib

RECEIVE = "worker.py, where a message is received: recvmsg and its control messages in Python's socket module"
REPORT = "the protocol in pool.h: when does a worker report, and what?"


# Gives the worker another name, in /proc/PID/comm, when it receives without asking for close-on-exec: so nothing is
# opened in it for this test. Python loads it at its start.
HOOK = """
import ctypes, socket
libc, original, PR_SET_NAME = ctypes.CDLL(None), socket.socket.recvmsg, 15

def recvmsg(self, size, room=0, flags=0):
    if not flags & socket.MSG_CMSG_CLOEXEC:
        libc.prctl(PR_SET_NAME, b"not on arrival", 0, 0, 0)
    return original(self, size, room, flags)

socket.socket.recvmsg = recvmsg
"""
hooks = tempfile.TemporaryDirectory()
pathlib.Path(hooks.name, "sitecustomize.py").write_text(HOOK)


class Worker(Attached):
    """The worker, and .channel, the server's end."""

    def __init__(self):
        self.channel, self.theirs = socket.socketpair()
        self.channel.settimeout(PATIENCE)
        super().__init__(sys.executable, program_path("worker.py"), stdin=self.theirs,
                         env={"PYTHONPATH": hooks.name})

    def __enter__(self):
        super().__enter__()
        self.theirs.close()
        return self

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self.channel.close()

    def expect_idle(self, look=REPORT):
        """Expects the report "I am idle"."""
        try:
            report = self.channel.recv(16)
        except ConnectionError:
            report = b""
        except socket.timeout:
            fail("the worker to report that it is idle: a byte 0", f"nothing came in {PATIENCE:g} seconds", look)
        if not report:
            self.wait()
            fail("the worker to report that it is idle: a byte 0", f"it {self.how_it_ended()}", look)
        expect(report == b"\0", "the worker to report that it is idle: a byte 0",
               f"it reported that it cannot start: {os.strerror(report[0])}" if len(report) == 1 else
               f"it sent {report}", look)

    def hand_over(self):
        """Hands the worker a connection; gives the client's end."""
        client, connection = socket.socketpair()
        client.settimeout(PATIENCE)
        socket.send_fds(self.channel, [b"\0"], [connection.fileno()])
        connection.close()
        return client

    def expect_end(self, status, line, look):
        """Expects the worker to end with this status, and to say one line if it is not 0."""
        wanted = f"the worker to end with exit status {status}" + (" and a line that says why" if line else
                                                                   ", without a word")
        self.wait()
        expect(self.status() == status, wanted, f"it {self.how_it_ended()}", look)
        said = [text for text in self.err().splitlines() if text.strip()]
        expect(len(said) == line, wanted, f"it {self.how_it_ended()}",
               "an exception that nobody catches prints where it came from. sys.exit(\"...\") prints one line"
               if "Traceback" in self.err() else look)


def expect_digest(client, data, look=RECEIVE):
    """Sends `data` and end-of-file, and expects its digest, and end-of-file."""
    wanted = hashlib.sha256(data).hexdigest().encode() + b"\n"
    received = b""
    try:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(4096):
            received += part
    except socket.timeout:
        if received == wanted:
            fail("the connection to be closed once it is served", f"it is still open after {PATIENCE:g} seconds",
                 "worker.py: how many descriptors of it has the worker, and which does it close?")
        fail("the digest of what was sent", f"nothing came in {PATIENCE:g} seconds", look)
    except ConnectionError as error:
        fail("the digest of what was sent", f"the connection broke: {error.strerror}", look)
    expect(received == wanted, "the digest of what was sent", f"{received} came", look)
    client.close()


begin()
step("start the worker with a channel as its descriptor 0")
with Worker() as worker:
    worker.expect_idle()

    step("hand it a connection, and send 5 bytes and end-of-file through it")
    client = worker.hand_over()
    expect_digest(client, WORD)
    worker.expect_idle()

    step("hand it a connection, and send 1000000 bytes and end-of-file through it")
    before = set(descriptors(worker.pid))
    client = worker.hand_over()
    client.sendall(b"x")
    expect(wait_until(lambda: set(descriptors(worker.pid)) - before), "the worker to receive it",
           f"it {worker.how_it_ended()}", RECEIVE)
    expect("not on arrival" not in pathlib.Path(f"/proc/{worker.pid}/comm").read_text(),
           "the connection to be close-on-exec on arrival",
           "it is not; even if it is so a moment later, meanwhile another thread may start a program",
           "socket.MSG_CMSG_CLOEXEC among the flags of recvmsg; recv_fds does not pass it on")
    number = max(set(descriptors(worker.pid)) - before, default=0)
    flags = re.search(r"^flags:\s*(\d+)", pathlib.Path(f"/proc/{worker.pid}/fdinfo/{number}").read_text(), re.MULTILINE)
    expect(int(flags[1], 8) & os.O_CLOEXEC, "the connection to be close-on-exec", "it is not",
           "socket.MSG_CMSG_CLOEXEC among the flags of recvmsg")
    expect(not select.select([worker.channel], [], [], 0)[0], "no report before the connection is served",
           "there is one", REPORT)
    client.sendall(b"x" * 499999)
    client.sendall(b"y" * 500000)
    client.shutdown(socket.SHUT_WR)
    wanted = hashlib.sha256(b"x" * 500000 + b"y" * 500000).hexdigest().encode() + b"\n"
    received = b"".join(iter(lambda: client.recv(4096), b""))
    expect(received == wanted, "the digest of what was sent", f"{received} came",
           "worker.py, serve: is all of it read, until end-of-file?")
    client.close()
    worker.expect_idle()

    step("hand it 20 connections, one after the other")
    count = len(descriptors(worker.pid))
    for _ in range(20):
        expect_digest(worker.hand_over(), b"again")
        worker.expect_idle()
    expect(len(descriptors(worker.pid)) == count, "no descriptor more to be open than before",
           lambda: f"{len(descriptors(worker.pid)) - count} more are open", "worker.py: who closes the connection?")

    step("hand it a connection that its client resets, and then another")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        connection, _ = listener.accept()
    socket.send_fds(worker.channel, [b"\0"], [connection.fileno()])
    connection.close()
    client.sendall(WORD)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    worker.expect_idle("worker.py: what does serve raise when the connection breaks, and whose affair is that?")
    expect_digest(worker.hand_over(), b"the next")
    worker.expect_idle()

    step("close the server's end of the channel")
    worker.channel.close()
    worker.expect_end(0, 0, "worker.py: what does recvmsg return at end-of-file?")

step("close the server's end of the channel while the worker serves a connection, and its report will find nobody")
with Worker() as worker:
    worker.expect_idle()
    client = worker.hand_over()
    wait_until(lambda: len(descriptors(worker.pid)) > 3)
    worker.channel.close()
    expect_digest(client, WORD, "worker.py: is the connection served to its end?")
    worker.expect_end(0, 0, "worker.py: what does a report raise when the server has gone?")

step("close the server's end of the channel with the worker's report unread, which resets the channel")
with Worker() as worker:
    wait_until(lambda: select.select([worker.channel], [], [], 0)[0] and state(worker.pid) == "S")
    worker.channel.close()
    worker.expect_end(0, 0, "worker.py: what does recvmsg raise when the channel is reset?")

LOOK = "worker.py, where a message is received: how many descriptors have come, and what do its flags say? " \
       "MSG_CTRUNC in recvmsg(2)"
step("send the worker a byte without a connection")
with Worker() as worker:
    worker.expect_idle()
    worker.channel.send(b"\0")
    worker.expect_end(1, 1, LOOK)

step("send the worker two connections in one message")
with Worker() as worker:
    worker.expect_idle()
    pair = socket.socketpair()
    socket.send_fds(worker.channel, [b"\0"], [end.fileno() for end in pair])
    for end in pair:
        end.close()
    worker.expect_end(1, 1, LOOK)

step("hand a connection to a worker that is at its limit of descriptors")
with Worker() as worker:
    worker.expect_idle()
    expect_digest(worker.hand_over(), WORD)
    worker.expect_idle()
    lowest = next(number for number in range(64) if number not in descriptors(worker.pid))
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (lowest, 64))
    worker.hand_over()
    worker.expect_end(1, 1, LOOK)
passed()
