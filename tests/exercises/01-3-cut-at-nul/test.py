"""What comes back must be what was sent, for bytes of any value."""
from lesson import *

LOOK = "server.c, serve_client: who knows how many bytes have come? recv(2), RETURN VALUE; strlen(3)"


def expect_same(server, data):
    connection = server.connect()
    back = answer(connection, data, look=LOOK)
    connection.close()
    expect(back == data, expected=f"the same {len(data)} bytes back" + (f": {quoted(data)}" if len(data) <= 20 else ""),
           happened=f"{len(back)} bytes came back: {quoted(back)}", look=LOOK)


begin()
step("start the server with 2 workers")
with Server("server", "2") as server:
    step(f"send '{WORD.decode()}'")
    expect_same(server, WORD)
    step("send 'ab', a byte 0, and 'cd'")
    expect_same(server, b"ab\0cd")
    step("send 3 bytes 0")
    expect_same(server, b"\0\0\0")
    step("send a word that ends with a byte 0, and one that begins with two")
    expect_same(server, WORD + b"\0")
    expect_same(server, b"\0\0" + WORD)
    step("send 25600 bytes of every value")
    expect_same(server, bytes(range(256)) * 100)
passed()
