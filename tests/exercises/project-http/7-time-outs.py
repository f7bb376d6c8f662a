"""10 points, 90 minutes: a silent client holds no worker for long"""
import threading

from web import *  # noqa: F403

DEADLINE = "from when on, and until what, does the time of -t count? A deadline for the whole " \
           "request, and poll(2)"


@contextlib.contextmanager
def drip(client, data):
    """Sends a byte every tenth of a second, meanwhile."""
    stop = threading.Event()

    def run():
        with contextlib.suppress(OSError):
            for byte in data:
                client.socket.send(bytes([byte]))
                if stop.wait(0.1):
                    return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


begin()
step("start the server with one worker, and -t 1")
with site(workers=1, seconds=1) as (folder, server):
    target, content = folder.one()
    large = folder.add(f"{name()}.txt", random.randbytes(LARGE))

    step("connect, and say nothing; another client comes behind", DEADLINE)
    with Client(server) as silent:
        expect_served(server, folder, expected="the client behind a silent one to be served")
        silent.expect_end("or 408, since it said nothing", DEADLINE)

    step("send half a request, and no more; another client comes behind", DEADLINE)
    with Client(server) as silent:
        silent.send(request(target)[:-5])
        expect_served(server, folder, expected="the client behind one that is silent to be served")
        try:
            reply = silent.read()
            expect(reply.status == 408, "408 for half a request, or the end of the connection",
                   str(reply))
        except Gone:
            pass
        silent.expect_end("when its time was over", DEADLINE)

    step("ask, get the reply, and keep the connection; another client comes behind", DEADLINE)
    with Client(server) as silent:
        silent.expect_file(target, content)
        expect_served(server, folder, expected="the client behind one that rests to be served")

    step(
        "send a request a byte every tenth of a second, for ever; another client comes behind",
        "a time-out for each recv(2) begins again with each byte: a deadline for the whole request "
        "does not"
    )
    with Client(server) as slow, drip(slow, request(target, fields=f"X-Slow: {'a' * 100000}\r\n")):
        expect_served(server, folder, expected="the client behind a slow one to be served")

    step("send a body in the same way; another client comes behind",
         "the deadline is for a request with its body")
    with Client(server) as slow:
        slow.send(request(target, "POST", fields="Content-Length: 100000\r\n"))
        with drip(slow, bytes(100000)):
            expect_served(server, folder, expected="the client behind a slow one to be served")

    step("ask for 8 MiB, and read nothing; another client comes behind",
         "send(2) and sendfile(2) wait for a client that takes nothing: SO_SNDTIMEO in socket(7)")
    with Client(server) as deaf:
        deaf.send(request(large))
        expect_served(server,
                      folder,
                      expected="the client behind one that does not read to be served")
passed()
