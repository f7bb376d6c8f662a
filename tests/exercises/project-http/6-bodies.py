"""10 points, 60 minutes: bodies are read, and dropped"""
from web import *  # noqa: F403

LOOK = "where the next request begins: behind the whole body. on_message_complete comes then, " \
       "and not before"


def chunked(data):
    """In chunks of random sizes."""
    at, out = 0, b""
    while at < len(data):
        size = min(random.randrange(1, 1 + len(data) // 3), len(data) - at)
        out += b"%x\r\n%s\r\n" % (size, data[at:at + size])
        at += size
    return out + b"0\r\n\r\n"


begin()
step("start the server")
with site(workers=1) as (folder, server):
    target, content = folder.one()
    hidden = request(f"/{name()}") * 3  # a body that looks like requests
    for what, fields, body in (("of a known length", f"Content-Length: {len(hidden)}\r\n", hidden),
                               ("in chunks", "Transfer-Encoding: chunked\r\n",
                                chunked(hidden)), ("of 500 kB", "Content-Length: 500000\r\n",
                                                   random.randbytes(500000)),
                               ("of 500 kB in chunks", "Transfer-Encoding: chunked\r\n",
                                chunked(random.randbytes(500000)))):
        step(f"POST a body {what}, and GET on the same connection", LOOK)
        with Client(server) as client:
            client.send(request(target, "POST", fields=fields) + body + request(target))
            reply = client.reply("a reply to POST")
            expect(reply.status == 405, "405 for POST", str(reply))
            expect_file(client.reply("a reply to the GET behind it"), target, content)

    step("GET with a body", "a GET may have one, which means nothing: RFC 9110, 9.3.1")
    with Client(server) as client:
        client.send(
            request(target, fields=f"Content-Length: {len(hidden)}\r\n") + hidden + request(target))
        for _ in range(2):
            expect_file(client.reply(), target, content)

    step("send a head with \"Expect: 100-continue\", and wait before the body",
         "either \"HTTP/1.1 100 Continue\" or the reply itself at once: RFC 9110, 10.1.1")
    with Client(server) as client:
        client.send(request(target, "POST", fields="Content-Length: 5\r\nExpect: 100-continue\r\n"))
        try:
            while b"\r\n\r\n" not in client.buffer:
                client.more()
        except Gone as gone:
            fail("100, or a reply", str(gone))
        went_on = client.buffer.split()[1] == b"100"
        if went_on:
            client.send(b"hello")
        reply = client.reply()
        expect(reply.status == 405, "405 for POST", str(reply))
        if went_on:
            client.expect_file(target, content)

    step("send more than a MiB in chunks",
         "a body in chunks says nowhere how long it will be: count it")
    refused(
        server,
        request(target, "POST", fields="Transfer-Encoding: chunked\r\n") + chunked(bytes(4 << 20)),
        [413], "a body of 4 MiB")
    expect_served(server, folder)
passed()
