"""Each line must arrive as one message: when many are under way at once, and when one arrives in pieces."""
from lesson import *

LOOK_TOGETHER = "post.c, receive_message: several messages are there to be read. How could it know where one ends? " \
                "unix(7) on SOCK_STREAM"
LOOK_PIECES = "post.c: a message may be larger than the channel, MESSAGE_MAX bytes. What do recv(2) and send(2) do " \
              "then? unix(7)"
LOOK_BYTES = "post.c: does a certain byte tell where a message ends? Could a message contain it?"


def stopped_child(program):
    """The child of the program, stopped: what it is sent from now on, it finds all at once when it goes on."""
    child = child_with_channel(program, "prints the messages", "post.c, main: the parent sends, and the child prints")
    stop_process(child)
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
    words = [word(3), word(4), word(5)]
    rest = program.feed(b"\n".join(words) + b"\n")
    wait_until(lambda: asleep(program.pid))
    send_signal(child, signal.SIGCONT)
    expect_messages(program, words, LOOK_TOGETHER, rest)

step("kill the child (SIGKILL), and then give post 3 lines")
with Piped("post") as program:
    kill(stopped_child(program))
    status = program.finish(b"\n".join(words) + b"\n")
    expect(not program.out, expected="no message to be printed, since the child is dead that prints them",
           happened=lambda: f'it prints "{quoted(bytes(program.out))}": the parent does it',
           look="post.c: the parent sends each line to the child, and prints nothing itself")
    expect(status not in (None, 0), expected="the parent to notice, and to end with an exit status other than 0",
           happened="it waits for ever" if status is None else "its exit status is 0",
           look="post.c, main: which ends of the channel has the parent open? EPIPE in send(2)")

step("give post a line with bytes of every value except newline")
with Piped("post") as program:
    first = random.randrange(256)
    line = bytes(byte % 256 for byte in range(first, first + 256) if byte % 256 != 10)
    expect_messages(program, [line], LOOK_BYTES, line + b"\n")

step("give post a line of 1 MiB between two short ones, and stop the parent while it has sent but a part of it")
with Piped("post") as program:
    child = stopped_child(program)
    lines = [words[0], bytes(97 + i % 26 for i in range(1024 * 1024)), words[2]]
    rest = program.feed(b"\n".join(lines) + b"\n")
    wait_until(lambda: asleep(program.pid))
    stop_process(program.pid)
    send_signal(child, signal.SIGCONT)
    wait_until(lambda: asleep(child))
    program.kill(signal.SIGCONT)
    expect_messages(program, lines, LOOK_PIECES, rest)

step("give post 10000 lines")
with Piped("post", source=b"".join(b"line %d\n" % i for i in range(10000))) as program:
    expect_messages(program, [b"line %d" % i for i in range(10000)], LOOK_TOGETHER)
passed()
