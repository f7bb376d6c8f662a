"""15 points, 90 minutes: many requests on a connection"""
from web import *  # noqa: F403

ORDER = "what llhttp_execute was given may hold several requests, and a part of one: each is " \
        "answered, in its order"
MANY = 2000  # more than a connection may be good for

begin()
step("start the server")
with site(workers=2) as (folder, server):
    step("ask for some files, one after the other, on one connection",
         "who closes it? RFC 9112, 9.3")
    with Client(server) as client:
        for _ in range(5):
            target, content = folder.one()
            client.expect_file(target, content)
        client.expect_file(target, content)

    step("say Connection: close", "llhttp_should_keep_alive(), in on_message_complete")
    with Client(server) as client:
        reply = client.ask(target, fields="Connection: close\r\n")
        expect_file(reply, target, content)
        expect(reply.closes, "Connection: close in the reply",
               f"it is \"{reply.fields.get('connection', '')}\"")
        client.expect_end("as the client has asked")
    step("speak HTTP/1.0, which ends after a request, unless the client says keep-alive")
    with Client(server) as client:
        expect_file(client.ask(target, version="1.0"), target, content)
        client.expect_end("after a request of HTTP/1.0",
                          "llhttp_should_keep_alive(), in on_message_complete")
    with Client(server) as client:
        reply = client.ask(target, version="1.0", fields="Connection: keep-alive\r\n")
        expect(
            reply.fields.get("connection", "").lower() == "keep-alive",
            "Connection: keep-alive in the reply, since "
            "a client of HTTP/1.0 expects the end without it",
            f"it is \"{reply.fields.get('connection', '')}\"")
        client.expect_file(target, content)

    step("send ten requests at once, and read then", ORDER)
    with Client(server) as client:
        asked = [folder.one() for _ in range(10)]
        client.send(b"".join(request(target) for target, _ in asked))
        for number, (target, content) in enumerate(asked, 1):
            reply = client.reply(
                f"a reply to number {number} of ten requests that were sent at once")
            expect_file(reply, target, content)
    step("send the same ten, cut at random places", ORDER)
    with Client(server) as client:
        data = b"".join(request(target) for target, _ in asked)
        cuts = sorted(random.sample(range(1, len(data)), 12))
        for begins, ends in zip([0, *cuts], [*cuts, len(data)]):
            client.send(data[begins:ends])
            time.sleep(0.01)  # so that the server mostly reads the pieces as they were cut
        for number, (target, content) in enumerate(asked, 1):
            reply = client.reply(
                f"a reply to number {number} of ten requests that were cut at random")
            expect_file(reply, target, content)

    step("offer another protocol, as curl --http2 does, and ask again",
         "llhttp stops behind a request with Upgrade, unless parser->upgrade is 0")
    with Client(server) as client:
        offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
        expect_file(client.ask(target, fields=offer), target, content)
        client.expect_file(target, content)

    step("ask, and end the sending side at once",
         "end-of-file says that no request comes any more; replies still go out")
    with Client(server) as client:
        client.send(request(target) + request(target))
        client.socket.shutdown(socket.SHUT_WR)
        for _ in range(2):
            expect_file(client.reply(), target, content)
        client.expect_end("when all is answered")

    step(
        "ask again and again, until the server says Connection: close",
        "whoever holds a connection holds a worker: after some hundred requests others may have it")
    with Client(server) as client:
        for count in range(1, MANY + 1):
            reply = client.ask(target)
            expect_file(reply, target, content)
            if reply.closes:
                break
        expect(reply.closes,
               f"an end of the connection, with Connection: close, in at most {MANY} requests",
               f"after {MANY} there was none")
        expect(count >= 10, "at least 10 requests on a connection", f"it ended after {count}")
        client.expect_end("as it has said")

    step("let ab ask 500 times on two connections (ab -k)", "HTTP/1.0 with Connection: keep-alive")
    ran = program("ab", "-k", "-q", "-n", 500, "-c", 2, url(server, target))
    found = {key: int(value) for key, value in re.findall(r"^([\w -]+):\s+(\d+)$", ran.text, re.M)}
    expect(
        found.get("Complete requests") == 500 and found.get("Failed requests") == 0
        and "Non-2xx responses" not in found, "500 complete requests and 0 failed ones",
        f"ab says: {found or ran.text[:300]}")
    expect(
        found.get("Keep-Alive requests", 0) > 250, "most of them on a connection that was there",
        f"ab counts {found.get('Keep-Alive requests', 0)} of 500")
passed()
