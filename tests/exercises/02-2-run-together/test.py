"""Each line must arrive as one message: when many are under way at once, and when one arrives in pieces."""
from lesson import *

LOOK_TOGETHER = "post.c, receive_message: several messages are there to be read. How could it know where one ends? " \
                "unix(7) on SOCK_STREAM"
LOOK_PIECES = "post.c: a message may be larger than the channel. What do recv(2) and send(2) do then? unix(7)"
LOOK_BYTES = "post.c: does a certain byte tell where a message ends? Could a message contain it?"


def stop(pid):
    send_signal(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) in ("T", "Z", "X", None))


def stopped_child(program):
    """The child of the program, stopped: what it is sent from now on, it finds all at once when it goes on."""
    expect(wait_until(program.living_children), expected="a child that prints the messages", happened="there is none",
           look="post.c, where it forks")
    child = program.living_children()[0]
    stop(child)
    return child


def expect_messages(program, messages, look, rest=b""):
    """Gives the program the rest of its input, and expects that it ends and has printed these messages."""
    status = program.finish(rest)
    expect(status is not None, expected="it to end when its input has ended", happened="it waits for ever",
           look="post.c: does the child see end-of-file? Not every kind of socket has one: chapter 2's README")
    printed = bytes(program.out).split(b"\n")[:-1]
    wanted = [b"%d: %s" % (number, message) for number, message in enumerate(messages, 1)]
    for i, line in enumerate(wanted):
        got = printed[i] if i < len(printed) else None
        if got != line:
            expected = f"line {i + 1} of its output to be {quoted(line)}, {len(line)} bytes"
            fail(expected, f"it is {quoted(got)}, {len(got)} bytes" if got is not None else
                 "it has fewer lines" + (f"; on stderr it says:\n{program.stderr()}" if program.stderr() else ""), look)
    expect(len(printed) == len(wanted), expected=f"{len(wanted)} lines of output",
           happened=f"there are {len(printed)}", look=look)
    expect(status == 0, expected="it to end with exit status 0", happened=f"its exit status is {status}",
           look="post.c, main: what does the parent make of the child's exit status?")


begin()
step("stop the child (SIGSTOP), give post 3 lines, and let the child go on (SIGCONT)")
with Piped("post") as program:
    child = stopped_child(program)
    rest = program.feed(b"one\ntwo\nthree\n")
    wait_until(lambda: asleep(program.pid))
    send_signal(child, signal.SIGCONT)
    expect_messages(program, [b"one", b"two", b"three"], LOOK_TOGETHER, rest)

step("give post a line with bytes of every value except newline")
with Piped("post") as program:
    line = b"every byte: " + bytes(byte for byte in range(256) if byte != 10)
    expect_messages(program, [line], LOOK_BYTES, line + b"\n")

step("give post a line of 1 MiB between two short ones, and stop the parent while it has sent but a part of it")
with Piped("post") as program:
    child = stopped_child(program)
    lines = [b"one", bytes(97 + i % 26 for i in range(1024 * 1024)), b"three"]
    rest = program.feed(b"\n".join(lines) + b"\n")
    wait_until(lambda: asleep(program.pid))
    stop(program.pid)
    send_signal(child, signal.SIGCONT)
    wait_until(lambda: asleep(child))
    program.kill(signal.SIGCONT)
    expect_messages(program, lines, LOOK_PIECES, rest)

step("give post 10000 lines")
with Piped("post", source=b"".join(b"line %d\n" % i for i in range(10000))) as program:
    expect_messages(program, [b"line %d" % i for i in range(10000)], LOOK_TOGETHER)
passed()
