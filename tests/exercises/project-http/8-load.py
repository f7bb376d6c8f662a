"""10 points, 60 minutes: nothing is lost under load"""
import shutil
import threading

from web import *  # noqa: F403

WORKERS = 4


class Load:
    """Clients that ask without a pause on connections that they keep, and compare.

    .lost: why no reply came, each time that none did; .wrong: what came instead of the right one.
    """

    def __init__(self, server, folder, clients):
        self.server, self.files = server, sorted(folder.files.items())
        self.done, self.lost, self.wrong = [0] * clients, [], []
        self.stop = threading.Event()
        self.threads = [
            threading.Thread(target=self.run, args=(n, random.randrange(1 << 30)))
            for n in range(clients)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def run(self, number, seed):
        choice, connection, buffer = random.Random(seed).choice, None, b""
        while not self.stop.is_set():
            target, content = choice(self.files)
            try:
                if not connection:
                    connection = socket.create_connection(("127.0.0.1", self.server.port),
                                                          timeout=PATIENCE)
                    buffer = connection.makefile("rb")
                connection.sendall(request(target))
                status = buffer.readline()
                fields = {}
                while True:
                    line = buffer.readline()
                    if line in (b"\r\n", b""):
                        break
                    key, _, value = line.partition(b":")
                    fields[key.strip().lower()] = value.strip().lower()
                body = buffer.read(int(fields.get(b"content-length", b"0")))
                if not line or len(body) < int(fields.get(b"content-length", b"0")):
                    raise ConnectionError("the connection ended before the reply had")
            except OSError as error:
                self.lost.append(str(error.strerror or error))
                connection = None
                continue
            if b" 200 " not in status or body != content:
                self.wrong.append(
                    f"{target}: {status.decode(errors='replace').strip()}, {len(body)} bytes")
            self.done[number] += 1
            if fields.get(b"connection") == b"close":
                buffer.close()
                connection.close()
                connection = None
        if connection:
            buffer.close()
            connection.close()

    def each(self, times):
        """Waits until each client has got so many replies more."""
        wanted = [done + times for done in self.done]
        expect(
            wait_until(lambda: all(done >= want for done, want in zip(self.done, wanted)),
                       PATIENCE + 60), f"each client to get {times} replies",
            lambda: f"they got {self.done}; lost: {self.lost[:3]}")

    def expect_right(self):
        expect(not self.wrong, "each reply to be that of its request",
               lambda: f"{len(self.wrong)} were not: {self.wrong[0]}")


begin()
step("start the server")
with site(workers=WORKERS) as (folder, server):
    step("let four clients ask, each on a connection of its own",
         "who closes a connection that has not said so?")
    with Load(server, folder, WORKERS) as load:
        load.each(250)
    load.expect_right()
    expect(not load.lost, "no request to be lost", f"{len(load.lost)} were: {load.lost[:1]}")

    step("let ab ask 2000 times, by twelve clients that keep no connection",
         "a client that finds no worker waits in the backlog; none is accepted and dropped")
    target = folder.one()[0]
    ran = program("ab", "-q", "-n", 2000, "-c", 12, url(server, target))
    found = {key: int(value) for key, value in re.findall(r"^([\w -]+):\s+(\d+)$", ran.text, re.M)}
    expect(
        found.get("Complete requests") == 2000 and found.get("Failed requests") == 0
        and "Non-2xx responses" not in found, "2000 complete requests and 0 failed ones",
        f"ab says: {found or ran.text[:300]}")
    if shutil.which("wrk"):
        step("let wrk ask for a second, on four connections")
        ran = program("wrk", "-t", 1, "-c", WORKERS, "-d", "1s", url(server, target))
        expect(
            ran.returncode == 0 and "Socket errors" not in ran.text and "Non-2xx" not in ran.text,
            "wrk to see no errors", f"wrk says: {ran.text[-300:]}")

    step(
        "kill a worker while four clients ask",
        "what belongs to one request, and what to the server? A worker holds one connection, and "
        "nothing of another"
    )
    with Load(server, folder, WORKERS) as load:
        load.each(20)
        victim = random.choice(server.living_children())
        kill(victim)
        load.each(40)
    load.expect_right()
    expect(
        len(load.lost) <= 1, "at most the one request in the hands of that worker to be lost",
        f"{len(load.lost)} were: {load.lost[:3]}")
    expect(
        wait_until(lambda: victim not in server.living_children() and len(server.living_children())
                   >= WORKERS), "another worker in its place",
        lambda: f"there are {len(server.living_children())}")

step(
    "ask a server of one worker for 8 MiB, and reset the connection when the reply has begun",
    "a client that has gone is an error like another, and no SIGPIPE: send(2) has MSG_NOSIGNAL, "
    "sendfile(2) has not"
)
with site(workers=1) as (folder, server):
    large = folder.add(f"{name()}.txt", random.randbytes(LARGE))
    before = server.living_children()
    for _ in range(5):
        client = Client(server)
        client.send(request(large))
        client.more()
        client.reset()
    expect_served(server, folder)
    expect(server.living_children() == before, "the worker to outlive its clients",
           f"it was process {before}, and is {server.living_children()}")
    step("end the server by SIGTERM, while a client holds a connection",
         "the pool ends its workers: pool.h")
    with Client(server) as client:
        client.expect_file(*folder.one())
        status = server.stop()
        expect(status == 0, "an end with status 0", f"the status was {status}")
passed()
