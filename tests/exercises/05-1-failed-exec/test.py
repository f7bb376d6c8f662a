"""Gives the server programs that cannot be run, and one that can."""
from lesson import *

import errno

WORKERS = random.randint(3, 5)
LOOK = "server.c, start_workers: which process comes back from execl, and where does it go on?"
REPORTED = "server.c, worker_report: how does the master learn why a worker cannot start? pool_cannot_start in pool.h"


def how_it_is():
    count = len(session_of(server.pid))
    if server.status() is None:
        return f"it still runs{', as ' + str(count) + ' processes' if count > 1 else ''}{said()}"
    return f"it {server.how_it_ended()}"


def said():
    text = (server.out() + server.err()).strip()
    return f", and said \"{text.splitlines()[0]}\"" if text else ", and has said nothing"


@contextlib.contextmanager
def full_pipe():
    """A pipe with no room left, as (the end to read from, the end to write to), files."""
    output, source = os.pipe()
    with open(output, "rb", 0) as reader, open(source, "wb", 0) as writer:
        os.set_blocking(output, False)
        os.set_blocking(source, False)
        while writer.write(bytes(65536)):
            pass
        os.set_blocking(source, True)  # for the server, whose copy is the same open file
        yield reader, writer


def living():
    """The processes of the server that live, beside the one that was started."""
    return [pid for pid in session_of(server.pid) if pid != server.pid]


def comes(what, pids):
    """Waits until `what` is true, and gives true. False as soon as all of `pids()` wait, and go on waiting for a
    second: then nothing more is going to come."""
    quiet, end = 0, time.monotonic() + PATIENCE
    while not what():
        quiet = quiet + 1 if all(state(pid) == "S" for pid in pids()) else 0
        if quiet == 20 or time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def all_ended():
    return comes(lambda: not living(), living)


begin()
folder = tempfile.TemporaryDirectory()
text = os.path.join(folder.name, "text")
script = os.path.join(folder.name, "script")
for path in text, script:
    pathlib.Path(path).write_text("This is no program.\n")
os.chmod(script, 0o755)

# What it says holds the master up, which would end them; so they are seen to end by themselves, or not.
step(f"start the server with {WORKERS} workers, a file that is not there as worker program, and a stderr on which "
     "nothing can be written for now")
with full_pipe() as (reader, writer):
    with Attached("server", "-p", "0", "-w", os.path.join(folder.name, "nothing"), WORKERS, stderr=writer) as server:
        comes(lambda: server.status() is not None or len(children_of(server.pid, dead=True)) >= WORKERS,
              lambda: [server.pid])
        ended = all_ended()
        expect(len(living()) <= WORKERS, f"a process for each of the {WORKERS} workers at most",
               lambda: f"there are {len(living())} beside the master", LOOK)
        if not ended:
            count = len(living())
            stop_process(server.pid)
            while reader.read(65536):
                pass
            expect(not all_ended(), "the server itself to say the reason, once",
                   f"each of its {count} children writes on the stderr that it has from the server", REPORTED)
            fail("each child to report why it cannot be a worker, and to end", f"{count} of them go on", LOOK)

for what, path, error in (("a file that is not there", os.path.join(folder.name, "nothing"), errno.ENOENT),
                          ("a file that may not be executed", text, errno.EACCES),
                          ("a folder", folder.name, errno.EACCES),
                          ("an executable file that is no program", script, errno.ENOEXEC)):
    step(f"start the server with {WORKERS} workers, and {what} as worker program")
    with Attached("server", "-p", "0", "-w", path, WORKERS) as server:
        comes(lambda: server.status() is not None or len(session_of(server.pid)) > 1 + WORKERS,
              lambda: session_of(server.pid))
        expect(server.status() is not None, "the server to end", how_it_is, LOOK)
        expect(server.status() == 1, "exit status 1", how_it_is,
               "server.c: who ends the master, and with which status?")
        reason = f"the reason on stderr, as execve gives it: {os.strerror(error)}"
        # So says its worker_report, of a worker of which it has only seen the end.
        if "a worker has ended" in server.err():
            fail(reason, how_it_is, REPORTED if error != errno.ENOEXEC else
                 "server.c, start_workers: which of the exec functions give what is no program to the shell? exec(3)")
        expect(os.strerror(error) in server.err(), reason, how_it_is,
               "server.c: where does the reason come from? errno, right behind execl, is execve's own; what was looked "
               "at before may be another one, or none")
        expect("listening" not in server.out(), "the server not to say that it listens", how_it_is, LOOK)
        expect(wait_until(lambda: not session_of(server.pid)), "no process to be left",
               lambda: f"{len(session_of(server.pid))} still run", LOOK)

step(f"start the server with {WORKERS} workers that can be run, and talk to each")
with Server("server", "-w", program_path("worker"), WORKERS) as server:
    connections = [server.connect() for _ in range(WORKERS)]
    for connection in connections:
        expect_echo(connection, WORD, look="server.c, start_workers")
    expect(len(server.children()) == WORKERS, f"{WORKERS} workers",
           lambda: f"{len(server.children())} children", "server.c, start_workers")
passed()
