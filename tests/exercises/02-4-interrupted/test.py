"""A signal must be answered at once, in whatever call it comes, and must not cost a byte."""
from lesson import *

LOOK_READ = "relay.c, copy: what does read return when a signal came while it waited, and is that the end? " \
            "read(2), ERRORS; signal(7) on interrupted calls"
LOOK_WRITE = "relay.c, copy: what may write return when a signal came while it waited, and how much is written then? " \
             "write(2), RETURN VALUE; signal(7) on interrupted calls"
LOOK_REPORT = "relay.c: the process still waits in read. When does it get to report()? SA_RESTART in sigaction(2)"
LOOK_WAITS = "relay.c, copy: a signal has ended write, which returned -1, or a part of what it was given. Who looks " \
             "then whether somebody has asked?"


def started(program):
    """The process ids of the reader and the writer, once both wait."""
    writer = child_with_channel(program, "writes", "relay.c, where it forks")
    wait_until(lambda: asleep(program.pid, writer))
    return program.pid, writer


def expect_copy(program, data, look, more=b""):
    """Gives the program the rest of its input, and expects all of it in its output."""
    status = program.finish(more)
    copy = bytes(program.out)
    if copy == data and status == 0:
        return
    differ = next((i for i, (a, b) in enumerate(zip(copy, data)) if a != b), None)
    ended = "it does not end" if status is None else f"its exit status is {status}"
    happened = f"{len(copy)} bytes came, and {ended}"
    if differ is not None:
        happened = f"they differ from byte {differ + 1} on; " + happened
    if program.stderr():
        happened += ". On stderr it says:\n" + program.stderr().strip()
    fail(expected=f"all {len(data)} bytes to be copied, and exit status 0", happened=happened, look=look)


def ask(program, pids, index):
    """Sends one of the two SIGUSR1, and gives what is said on stderr before both wait again, or have ended."""
    before = len(program.stderr())
    send_signal(pids[index], signal.SIGUSR1)
    wait_until(lambda: asleep(*pids))
    return program.stderr()[before:]


def expect_report(name, said):
    """Of one that was asked while it could not write."""
    expect(re.fullmatch(rf"{name}: \d+ bytes so far\n", said),
           expected=f"a report of the {name}, at once, though it waits to write",
           happened=f'it says "{said.strip()}"' if said else "it says nothing", look=LOOK_WAITS)


begin()
for index, name in enumerate(("reader", "writer")):
    line = word(random.randint(2, 9)) + b"\n"
    said = f"{name}: {len(line)} bytes so far"
    step(f"give relay a line, send its {name} SIGUSR1 twice while it waits for more, and give it another line")
    with Piped("relay") as program:
        pids = started(program)
        program.feed(line)
        wait_until(lambda: asleep(*pids))
        for _ in 1, 2:  # whom the first has ended says so, and nothing when it is sent the second
            ask(program, pids, index)
        expect(program.stderr(), expected=f'it to say "{said}" on stderr, at once',
               happened="it says nothing", look=LOOK_REPORT)
        expect_copy(program, line + b"more\n", LOOK_READ, more=b"more\n")
        expect(program.stderr() == 2 * f"{said}\n", expected=f'"{said}" on stderr, twice',
               happened=f'it says "{program.stderr().strip()}"', look="relay.c, report")

start, count = random.randrange(1 << 31), 3 * 1024 * 1024 // 4
data = struct.pack(f"<{count}I", *range(start, start + count))  # no part is like another
for index, name in enumerate(("reader", "writer")):
    step(f"give relay {len(data)} bytes, and send its {name} SIGUSR1 twice while it cannot write")
    with Piped("relay", source=data) as program:
        pids = started(program)
        first = ask(program, pids, index)   # write has done a part
        second = ask(program, pids, index)  # and now nothing yet
        expect_copy(program, data, LOOK_WRITE)
        expect_report(name, first)
        expect_report(name, second)

step(f"give relay {len(data)} bytes, send both SIGUSR1 while they cannot write, and again when all has come out")
with Piped("relay") as program:
    pids = started(program)
    rest = program.feed(data)
    wait_until(lambda: asleep(*pids))
    reports = [ask(program, pids, index) for index in range(2)]
    while len(program.out) < len(data):
        before = len(program.out)
        rest = program.feed(rest)
        program.collect(lambda: len(program.out) >= len(data))
        expect(len(program.out) > before, expected=f"all {len(data)} bytes to be copied",
               happened=lambda: f"{len(program.out)} came, and no more", look=LOOK_WRITE)
    for name, said in zip(("reader", "writer"), reports):
        expect_report(name, said)
    wait_until(lambda: asleep(*pids))
    for index, name in enumerate(("reader", "writer")):
        said = ask(program, pids, index)
        expect(said == f"{name}: {len(data)} bytes so far\n",
               expected=f'"{name}: {len(data)} bytes so far" on stderr', happened=f'it says "{said.strip()}"',
               look="relay.c: what is counted when write has done only a part?")
passed()
