"""Kills the master while one of three workers serves; then looks at what workers have open."""
import errno
import shutil

from lesson import *

WORKERS = 3
LOOK = "server.c, start_workers: what has a worker open after exec? ls -l /proc/PID/fd, and SOCK_CLOEXEC in socket(2)"


LOOK_START = "server.c, start_workers: a worker has ended for its master when there is " \
             "end-of-file on its channel. Is that open when the worker begins, as descriptor 0? " \
             "dup2(2), and which descriptors exec keeps: FD_CLOEXEC in fcntl(2)"
LOOK_ANY = "server.c, start_workers: a worker may be any program, which knows nothing of what " \
           "the server had open. Who is to see to it that nothing of this comes with it, however " \
           "much it is? SOCK_CLOEXEC in socket(2)"


def start():
    return Server("server", "-w", program_path("worker"), WORKERS, look=LOOK_START)


def more_than_three(pid):
    """What a process has open besides descriptors 0, 1 and 2, as text."""
    return ", ".join(f"{fd} ({what})" for fd, what in sorted(descriptors(pid).items()) if fd > 2)


def is_cat(pid):
    try:
        return os.path.samefile(f"/proc/{pid}/exe", CAT)
    except OSError:
        return False


def living(pids):
    return [pid for pid in pids if state(pid) not in (None, "Z", "X")]


begin()
step(f"start the server with {WORKERS} workers, keep the last of them busy, and kill the master with SIGKILL")
with start() as server:
    connections = [server.connect() for _ in range(WORKERS)]
    for each in connections:
        expect_echo(each, WORD, look=LOOK)
    connection = connections.pop()
    for each in connections:
        each.close()
    workers = server.children()
    server.kill()
    server.wait()
    expect(wait_until(lambda: len(living(workers)) <= 1), "the workers to end that serve nobody",
           lambda: f"{len(living(workers))} of {WORKERS} workers still live",
           "server.c, start_workers: a worker reads end-of-file on its channel when the last copy of the other end is "
           "closed. Who has copies? ls -l /proc/PID/fd. And has the master set the flag? `flags:` in its "
           "/proc/PID/fdinfo has 02000000 then")

    step("after that, talk on through its connection")
    expect_echo(connection, b"still there?", look="server.c, start_workers: what ends a worker together with the "
                                                  "master?")

    step("after that, connect to the port, on which nobody accepts any more")
    another = socket.socket()
    another.settimeout(PATIENCE)
    refused = another.connect_ex(("127.0.0.1", server.port)) != 0
    another.close()
    expect(refused, "the connection to be refused, and the port free for a new server",
           "it was taken: the worker that serves has the listener open", "server.c, where the listener is opened: what "
           "becomes of it when a worker is exec'd? SOCK_CLOEXEC in socket(2)")

    step("after that, close the first connection")
    connection.close()
    expect(wait_until(lambda: not living(workers)), "the last worker to end", "it still lives", LOOK)

step(f"start the server with {WORKERS} workers, and look at what each has open")
with start() as server:
    for number, worker in enumerate(server.children(), 1):
        more = more_than_three(worker)
        expect(not more, "descriptors 0 (its channel), 1 and 2, and no other", f"worker {number} "
               f"has also {more}", LOOK)

    left = [fd for fd, what in descriptors(server.pid).items()
            if what.startswith("socket:") and not flags(server.pid, fd) & os.O_CLOEXEC]
    if left:
        remark("in the master its sockets are not close-on-exec: whatever a later change opens has to be thought of "
               "again")

    step("end the server with SIGTERM, while a client is connected")
    connection = server.connect()
    expect_echo(connection, WORD, look=LOOK)
    workers = server.children()
    status = server.stop()
    expect(status is not None, "the server to end", f"it still runs, after {PATIENCE:g} seconds",
           "server.c, end_workers: what does it wait for? And which signals has a worker blocked? fork_child in "
           "process.h")
    expect(status == 0, "the server to end with exit status 0", f"its exit status is {status}", "server.c, end_workers")
    expect(not living(workers), "no worker to be left", lambda: f"{len(living(workers))} still live",
           "server.c, end_workers")

CAT = shutil.which("cat")
MANY = random.randint(66, 80)
step(f"start the server with {MANY} workers that are another program, {CAT}, and look at what each "
     "has open")
with Attached("server", "-p", "0", "-w", CAT, MANY) as server:
    def cats():
        return [pid for pid in children_of(server.pid) if is_cat(pid)]

    wait_until(lambda: server.status() is not None or len(cats()) == MANY)
    expect(server.status() is None, "the server to wait for their reports",
           lambda: f"it {server.how_it_ended()}", LOOK_START)
    for number, worker in enumerate(cats(), 1):
        rests(worker)
        more = more_than_three(worker)
        expect(not more, "descriptors 0 (its channel), 1 and 2, and no other",
               f"worker {number} has also {more}", LOOK_ANY)

step("start the server with a worker that is not there")
program = Program("server", "-p", "0", "-w", program_path("nobody"), WORKERS)
WHY, said = os.strerror(errno.ENOENT), program.err.decode(errors="replace").strip()
expect(program.status == 1 and WHY in said,
       f'the server to end with exit status 1, and to say "{WHY}"',
       f'its exit status is {program.status}, and it says "{said}"',
       "server.c, start_workers: when execl has failed, the worker reports why, through its "
       "channel. Which copy of that is still open then? pool_cannot_start in pool.h")
# So says its worker_report, of a worker of which it has only seen the end.
expect("a worker has ended" not in said, "the server itself to say the reason, which its worker reports",
       f'it does not know it, and says "{said.splitlines()[-1]}"',
       "server.c, start_workers: when execl has failed, what is to come through the channel? pool_cannot_start in "
       "pool.h")
passed()
