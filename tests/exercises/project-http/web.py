"""What the milestones of project-http share, beside lesson.py: a folder to serve, and a client that
takes nothing on trust.

Names and contents of the files are others in each run, of a seed (SEED) that the judge prints.
"""
import contextlib
import shutil

from lesson import *  # noqa: F403
from lesson import PATIENCE, Server, expect, fail, quoted
from lesson import os, pathlib, random, socket, struct, subprocess, sys, tempfile

random.seed(os.environ.get("SEED"))

SKIPPED = 77
LARGE = 8 << 20  # more than the buffers of a connection hold, both together
TYPES = {
    "html": "text/html",
    "css": "text/css",
    "txt": "text/plain",
    "png": "image/png",
    "js": "text/javascript"
}


def name(length=8):
    return "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=length))


class Folder:
    """A folder `root` with files of random names and sizes, .files = {target: bytes}; and a secret
    beside it.
    """

    def __enter__(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="project-"))
        self.root, self.outside = self.top / "root", self.top / "outside"
        self.files = {}
        self.sub = name()
        for path in ("index.html", f"{self.sub}/index.html"):
            self.files["/" + path] = f"<!doctype html><title>{name()}</title>\n".encode()
        for kind in TYPES:
            self.files[f"/{name()}.{kind}"] = random.randbytes(random.randrange(1, 60000))
        self.files[f"/{self.sub}/{name()}.txt"] = random.randbytes(random.randrange(60000, 200000))
        for target, content in self.files.items():
            self.add(target[1:], content)
        self.outside.mkdir()
        self.secret = name(40).encode()
        (self.outside / "secret.txt").write_bytes(self.secret)
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.top)

    def add(self, path, content):
        """Puts another file there, which is not among .files; gives its target."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return "/" + path

    def one(self):
        """Some file that is there: its target, and what is in it."""
        return random.choice(sorted(self.files.items()))


@contextlib.contextmanager
def site(workers=4, seconds=60):
    """A folder, and the server on it, which waits `seconds` for a client."""
    with Folder() as folder, Server("server", "-r", folder.root, "-t", seconds, workers) as server:
        yield folder, server


def request(target, method="GET", version="1.1", fields="", host=True):
    """A request as bytes; `fields` are whole lines."""
    fields = ("Host: localhost\r\n" if host else "") + fields
    return f"{method} {target} HTTP/{version}\r\n{fields}\r\n".encode("latin-1")


class Reply:

    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    @property
    def closes(self):
        return self.fields.get("connection", "").lower() == "close"

    def __str__(self):
        return f"the reply was {self.status}"


class Gone(Exception):
    """The connection ended, or broke, where a reply should have come."""


class Client:
    """A connection to the server, and replies read from it byte for byte."""

    def __init__(self, server):
        self.socket = server.connect()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def send(self, data):
        """Sends; that the server wants no more of it is no fault: what it says is to be read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def reset(self):
        """Ends the connection as a program does that is killed with a reply half read."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def more(self):
        try:
            part = self.socket.recv(1 << 16)
        except TimeoutError:
            raise Gone(
                f"nothing{' more' if self.buffer else ''} came in {PATIENCE:g} seconds") from None
        except OSError as error:
            raise Gone(f"the connection broke: {error.strerror}") from None
        if not part:
            raise Gone("the server closed the connection")
        self.buffer += part

    def read(self, head=False):
        """The next reply; raises Gone, or fails when what comes is none."""
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        block, _, rest = self.buffer.partition(b"\r\n\r\n")
        first, *lines = block.decode("latin-1").split("\r\n")
        parts = first.split(" ", 2)
        expect(
            len(parts) >= 2 and parts[0] in ("HTTP/1.1", "HTTP/1.0") and parts[1].isdecimal(),
            "a reply that begins with \"HTTP/1.1\" and a status of three digits",
            f"it begins {quoted(block)}",
            "what is sent behind the body of the reply before? RFC 9112, 4")
        fields = {}
        for line in lines:
            key, colon, value = line.partition(":")
            expect(colon, "lines of \"Name: value\" in the head of a reply",
                   f"there is {quoted(line.encode())}", "RFC 9112, 5")
            fields[key.lower()] = value.strip()
        self.buffer = rest
        status = int(parts[1])
        if status < 200:  # "100 Continue": the reply is still to come
            return self.read(head)
        size = fields.get("content-length", "")
        expect(size.isdecimal(),
               "a Content-Length in each reply, so that a client knows where it ends",
               f"the reply {status} has {'none' if not size else quoted(size.encode())}",
               "RFC 9110, 8.6")
        size = 0 if head else int(size)
        while len(self.buffer) < size:
            self.more()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return Reply(status, fields, body)

    def reply(self, expected="a reply", head=False, look=""):
        try:
            return self.read(head)
        except Gone as gone:
            fail(expected, str(gone), look)

    def ask(self, target, head=False, look="", **more):
        """Sends a request, and gives its reply."""
        self.send(request(target, method="HEAD" if head else more.pop("method", "GET"), **more))
        return self.reply(f"a reply for {target[:40]}", head, look)

    def expect_file(self, target, content, look=""):
        expect_file(self.ask(target, look=look), target, content, look)

    def expect_end(self, why, look=""):
        """The server closes the connection."""
        try:
            while True:
                self.buffer = b""
                self.more()
        except Gone as gone:
            expect("nothing" not in str(gone), f"the server to close the connection, {why}",
                   str(gone), look)


def expect_file(reply, target, content, look=""):
    expect(reply.status == 200, f"200 for {target}, which is there", str(reply), look)
    expect(
        len(reply.body) == len(content), f"the {len(content)} bytes of {target}",
        f"{len(reply.body)} came", look or "Content-Length: the size of the file, as fstat(2) says")
    expect(reply.body == content, f"{target} byte for byte", "other bytes came", look)


def expect_served(server, folder, look="", expected="the next client to be served"):
    """A new client gets its file."""
    target, content = folder.one()
    with Client(server) as client:
        client.send(request(target, fields="Connection: close\r\n"))
        expect_file(client.reply(expected, look=look), target, content, look)


def refused(server, data, statuses, what, look=""):
    """Bytes that are to be answered with one of these statuses, and the end of the connection."""
    wanted = " or ".join(map(str, statuses))
    with Client(server) as client:
        client.send(data)
        reply = client.reply(f"{wanted} for {what}", look=look)
        expect(reply.status in statuses, f"{wanted} for {what}", str(reply), look)
        client.expect_end(f"since after {what} nobody knows where the next request begins", look)


def program(*command, patience=None):
    """Runs a client that somebody else wrote, within PATIENCE and a minute: .text it said."""
    try:
        ran = subprocess.run([*map(str, command)],
                             capture_output=True,
                             stdin=subprocess.DEVNULL,
                             check=False,
                             timeout=patience or PATIENCE + 60)
    except subprocess.TimeoutExpired:
        fail(f"{command[0]} to end", f"after {patience or PATIENCE + 60:g} seconds it still ran")
    ran.text = (ran.stdout + ran.stderr).decode(errors="replace")
    return ran


def skip(why):
    """Ends the milestone where it cannot be tried: it counts neither for nor against the server."""
    print(why)
    sys.stdout.flush()
    os._exit(SKIPPED)


def url(server, target):
    return f"http://127.0.0.1:{server.port}{target}"
