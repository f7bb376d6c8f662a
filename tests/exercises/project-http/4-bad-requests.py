"""15 points, 90 minutes: 400 for what is no request, and bounds"""
from web import *  # noqa: F403

PARSER = "what llhttp_execute returns; the reply, and then the end of the connection: " \
         "llhttp_get_error_reason"

begin()
step("start the server with one worker")
with site(workers=1) as (folder, server):
    target, content = folder.one()
    bad = {
        "words":
        f"{name()} {name()} {name()}\r\n\r\n".encode(),
        "a word":
        f"{name().upper()}\r\n\r\n".encode(),
        "a TLS handshake":
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + random.randbytes(160),
        "a method in small letters":
        request(target, method="get"),
        "a version that is none":
        f"GET {target} HTTQ/1.1\r\nHost: a\r\n\r\n".encode(),
        "a field without a colon":
        request(target, fields=f"{name()}\r\n"),
        "a length that is none":
        request(target, "POST", fields="Content-Length: 1x\r\n"),
        "two lengths":
        request(target, "POST", fields="Content-Length: 3\r\nContent-Length: 4\r\n"),
        "a length and chunks":
        request(target, "POST", fields="Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
        "a chunk of no length":
        request(target, "POST", fields="Transfer-Encoding: chunked\r\n") + b"zz\r\n",
    }
    for what, data in bad.items():
        step(f"send {what}", PARSER)
        refused(server, data, [400], what)
        expect_served(server, folder)

    step("leave out the Host, and give two",
         "RFC 9112, 3.2: exactly one in HTTP/1.1; llhttp leaves that to you")
    refused(server, request(target, host=False), [400], "a request without Host")
    refused(server, request(target, fields="Host: other\r\n"), [400],
            "a request with two Host fields")
    with Client(server) as client:
        expect_file(client.ask(target, version="1.0", host=False), target, content,
                    "HTTP/1.0 needs no Host")

    step("send too much", "count what comes, in each callback, and end the request at a bound")
    refused(server, request("/" + "a" * 70000), [414, 431], "a target of 70 kB")
    refused(server, request(target, fields=f"X-Long: {'b' * 70000}\r\n"), [431], "a field of 70 kB")
    refused(server, request(target, fields="".join(f"X-{n}: {n}\r\n" for n in range(20000))), [431],
            "20000 fields")
    refused(server, request(target, "POST", fields=f"Content-Length: {1 << 40}\r\n"), [413],
            "a body of a terabyte")

    step("send a bad request behind a good one", "the good one gets its reply, then comes the 400")
    with Client(server) as client:
        client.send(request(target) + b"\x00\x01\x02\r\n\r\n")
        expect_file(client.reply(), target, content)
        reply = client.reply("400 for what came behind it")
        expect(reply.status == 400, "400 for what came behind it", str(reply))
        client.expect_end("since nobody knows where the next request begins")
    expect_served(server, folder)
passed()
