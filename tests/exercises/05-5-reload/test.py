"""Upgrades the worker program of a running server, from one that echoes to one that answers in capitals, and back."""
from lesson import *

import shutil

begin()
folder = tempfile.TemporaryDirectory()
HELLO, SHOUT = WORD.decode(), WORD.decode().upper()
PROGRAM = os.path.join(folder.name, "worker")
RELOAD = "server.c, serve, where SIGHUP is received"


def install(name):
    """Puts another program where the worker was, as an upgrade does."""
    shutil.copy(program_path(name), PROGRAM + ".new")
    os.replace(PROGRAM + ".new", PROGRAM)


def exchange(connection, text=WORD):
    """Sends `text`, and gives the answer, or in words why there is none."""
    try:
        connection.sendall(text)
        answer = connection.recv(100)
        return answer.decode(errors="replace") if answer else "the connection was closed"
    except socket.timeout:
        return f"nothing in {PATIENCE:g} seconds"
    except OSError as error:
        return f"the connection broke: {error.strerror}"


def ask(connections=1):
    """The answers on this many new connections at once."""
    clients = [server.connect() for _ in range(connections)]
    answers = [exchange(client) for client in clients]
    for client in clients:
        client.close()
    return answers


def settle():
    """Waits until the server has taken a SIGHUP that was sent, and waits for what comes next."""
    def taken():
        text = pathlib.Path(f"/proc/{server.pid}/status").read_text()
        pending = [int(mask, 16) for mask in re.findall(r"^(?:Sig|Shd)Pnd:\s*(\S+)", text, re.MULTILINE)]
        return not any(mask >> (signal.SIGHUP - 1) & 1 for mask in pending)

    wait_until(lambda: state(server.pid) in (None, "Z") or taken() and state(server.pid) == "S")


def send_hangup():
    os.kill(server.pid, signal.SIGHUP)
    settle()


def expect_refusal(why, manual):
    """SIGHUP, when no worker of the program could be started: the server says why, and all stays as it is."""
    workers, said, look = server.children(), server.stderr(), "server.c: before a worker is ended, can another be started? "
    send_hangup()
    expect(wait_until(lambda: server.stderr() != said or state(server.pid) in (None, "Z")) and
           why in server.stderr(), f"the server to say on stderr: {why}",
           lambda: "it said nothing" if server.stderr() == said else f"it said: {server.stderr()[len(said):].strip()}",
           look + manual)
    expect(ask(2) == [HELLO, HELLO] and server.children() == workers, "the workers to stay as they are",
           "they are not the same", look + manual)


install("worker")
step("start the server with 2 workers that echo")
with Server("server", "-w", PROGRAM, "2") as server:
    answers = ask()
    expect(answers == [HELLO], f"{HELLO} to come back", f"what came is: {answers[0]}",
           "server.c, worker_report and hand_over")
    settle()
    before = len(descriptors(server.pid))

    step("open a connection; put a program that answers in capitals in the place of the worker; send SIGHUP")
    long = server.connect()
    expect_echo(long, WORD, look="server.c, worker_report and hand_over")
    install("shout")
    send_hangup()
    for number in range(10):
        answer, = ask()
        expect(answer == SHOUT, f"all new connections to be answered {SHOUT} from then on", f"the answer is: {answer}",
               RELOAD if number == 0 else "server.c: which workers may still get a connection?")

    step("after that, talk through the connection that was open before")
    expect_echo(long, b"still here?", look="server.c: which workers may be ended at once, and when the others?")

    step("after that, close it, and open two at once")
    long.close()
    answers = ask(2)
    expect(answers == [SHOUT, SHOUT], f"both to be answered {SHOUT}", f"the answers are {answers}",
           "server.c, worker_report: what becomes of a worker that was busy when SIGHUP came?")
    expect(wait_until(lambda: len(server.children()) == 2), "2 workers, and no other child",
           lambda: f"there are {len(server.children())} children: " + ", ".join(
               "a zombie" if state(pid) == "Z" else "a living process" for pid in server.children()),
           "server.c: who waits for the worker that has ended? waitpid(2)")

    step("put the echo back, while two clients are served and a third waits, and send SIGHUP twice")
    served = [server.connect(), server.connect()]
    for client in served:
        answer = exchange(client)
        expect(answer == SHOUT, "an answer on both", f"what came is: {answer}", RELOAD)
    third = server.connect()
    install("worker")
    send_hangup()
    send_hangup()
    expect(len(server.living_children()) <= 2, "at most 2 workers at a time",
           lambda: f"there are {len(server.living_children())}", "server.c: when may the new worker be started?")
    for client in served:
        answer = exchange(client)
        expect(answer == SHOUT, "both connections to be served on", f"what came is: {answer}",
               "server.c: which workers may be ended at once, and when the others?")
    served[0].close()
    answer = exchange(third)
    expect(answer == HELLO, "the third to be served by a new worker once there is one", f"what came is: {answer}",
           "server.c: what becomes of clients that wait in the backlog? The listener stays as it is")
    served[1].close()
    third.close()
    answers = ask(2)
    expect(answers == [HELLO, HELLO], f"both new ones to be answered {HELLO}", f"the answers are {answers}", RELOAD)

    step("send SIGHUP 20 times, and open a connection each time")
    for _ in range(20):
        os.kill(server.pid, signal.SIGHUP)
        answer, = ask()
        expect(answer == HELLO, "every connection to be served", f"what came is: {answer}", RELOAD)

    step("serve some more clients, two at a time, without another SIGHUP")
    settle()
    ask(2)  # whoever was still to be replaced has been
    workers = server.children()
    for _ in range(3):
        ask(2)
        settle()
    expect(server.children() == workers, "the same two workers to serve them all", "there is another worker",
           "server.c: once a worker is a new one, what still says that it is to be replaced?")

    step("remove the program, and send SIGHUP")
    answers = ask(2)
    expect(answers == [HELLO, HELLO], "both workers to serve", f"the answers are {answers}", RELOAD)
    os.unlink(PROGRAM)
    expect_refusal("No such file or directory", "access(2)")

    step("put a file in its place that may not be executed, and send SIGHUP")
    pathlib.Path(PROGRAM).write_text("This is no program.\n")
    expect_refusal("Permission denied", "access(2): what can it be asked?")

    step("put it back, send SIGHUP, and look at what the server has open")
    install("shout")
    send_hangup()
    answers = ask(2)
    expect(answers == [SHOUT, SHOUT], f"both new ones to be answered {SHOUT}", f"the answers are {answers}", RELOAD)
    expect(wait_until(lambda: len(descriptors(server.pid)) == before), f"{before} descriptors, as at the beginning",
           lambda: f"it has {len(descriptors(server.pid))}",
           "server.c: who closes the channel of a worker that has gone?")

    step("end the server with SIGTERM")
    workers = server.children()
    expect(server.stop() == 0, "exit status 0", lambda: "another", RELOAD)
    expect(wait_until(lambda: all(state(pid) in (None, "Z") for pid in workers)), "no worker to be "
           "left", "one is", "server.c: which workers does the server end, when it ends?")
passed()
