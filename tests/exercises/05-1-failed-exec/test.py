"""Gives the server programs that cannot be run, and one that can."""
from lesson import *

import errno

WORKERS = random.randint(3, 5)
LOOK = "server.c, start_workers: which process comes back from execl, and where does it go on?"


def how_it_is():
    count = len(session_of(server.pid))
    if server.status() is None:
        return f"it still runs{', as ' + str(count) + ' processes' if count > 1 else ''}{said()}"
    return f"it {server.how_it_ended()}"


def said():
    text = (server.out() + server.err()).strip()
    return f", and said \"{text.splitlines()[0]}\"" if text else ", and has said nothing"


begin()
folder = tempfile.TemporaryDirectory()
text = os.path.join(folder.name, "text")
script = os.path.join(folder.name, "script")
for path in text, script:
    pathlib.Path(path).write_text("This is no program.\n")
os.chmod(script, 0o755)

for what, path, error in (("a file that is not there", os.path.join(folder.name, "nothing"), errno.ENOENT),
                          ("a file that may not be executed", text, errno.EACCES),
                          ("a folder", folder.name, errno.EACCES),
                          ("an executable file that is no program", script, errno.ENOEXEC)):
    step(f"start the server with {WORKERS} workers, and {what} as worker program")
    with Attached("server", "-p", "0", "-w", path, WORKERS) as server:
        wait_until(lambda: server.status() is not None or len(session_of(server.pid)) > 1 + WORKERS)
        expect(server.status() is not None, "the server to end", how_it_is, LOOK)
        expect(server.status() == 1, "exit status 1", how_it_is, LOOK)
        expect(os.strerror(error) in server.err(), f"the reason on stderr: {os.strerror(error)}", how_it_is,
               "server.c, worker_report: how does the master learn why a worker cannot start? pool_cannot_start in "
               "pool.h")
        # So says its worker_report, of a worker of which it has only seen the end.
        expect("a worker has ended" not in server.err(), "the server itself to say the reason",
               lambda: f"it does not know: {server.err().strip().splitlines()[-1]}",
               "server.c, worker_report: how does the master learn why a worker cannot start? pool_cannot_start in "
               "pool.h")
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
