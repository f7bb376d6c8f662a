"""All that can be measured side by side: the chapters' servers, and servers of others, the peers."""
import contextlib
import functools
import os
import pathlib
import pwd
import shutil
import socket
import string
import subprocess
import tempfile
import time

import chapters
import paths
import program
import registry
import results
import serving
import terminal

# Those that are no chapter's.
PEERS = {"apache": "Apache prefork", "xinetd": "xinetd", "socat": "socat"}
EVERYBODY = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # where Debian has servers, but not in everybody's PATH


def everything():
    """The names of all that stand beside each other, in the order of the tables."""
    return [*chapters.compared(), *chapters.beside(), *chapters.floors(), *PEERS]


def label(name):
    """What tables and plots call it."""
    if name in chapters.floors():
        return chapters.floors()[name][0]
    return PEERS.get(name) or registry.label(name)


def short(name):
    """A name for the head of a narrow column."""
    if name in PEERS:
        return {"apache": "Apache"}.get(name, name)
    return f"chapter {name.lstrip('0')}" if name.isdigit() else label(name)


def can(name, word):
    """Whether it is a server of the course that can this; the words are explained in tests/servers/subject.h."""
    return name in registry.servers() and word in registry.servers()[name].can


def forks(name):
    """Whether it forks for each connection."""
    return name in ("xinetd", "socat") or can(name, "rest=0")


# ---- peers ----


def find_program(*names):
    return next((path for name in names if (path := shutil.which(name, path=EVERYBODY))), None)


def apache_modules():
    """The folder with Apache's modules, if mod_echo is among them."""
    folders = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules", "/usr/lib/apache2")
    return next((folder for folder in folders if pathlib.Path(folder, "mod_echo.so").exists()), None)


def knows_localhost():
    with contextlib.suppress(OSError):
        return any(line.split()[:1] == ["127.0.0.1"] for line in pathlib.Path("/etc/hosts").read_text().splitlines())
    return False


@functools.cache
def missing(name):
    """Why a design cannot be measured here; "" when it can."""
    if name == "apache":
        if not find_program("apache2", "httpd"):
            return "apache2 is not installed"
        return "" if apache_modules() else "its mod_echo is not installed"
    if name == "xinetd":
        if not find_program("xinetd"):
            return "xinetd is not installed"
        # For each connection xinetd looks up the client's name. It is to find it in this file, and not
        # to ask a name server: that would not be loopback any more, nor what is to be measured.
        return "" if knows_localhost() else "/etc/hosts has no line for 127.0.0.1"
    if name == "socat":
        return "" if find_program("socat") else "socat is not installed"
    return ""


def present(names):
    """Those of the designs that can be measured here; says why the others are left out."""
    for name in names:
        if missing(name):
            print(terminal.wrapped(f"left out: {label(name)}: {missing(name)}", "", "  "))
    return [name for name in names if not missing(name)]


@contextlib.contextmanager
def reserved_port():
    """Gives a free port of 127.0.0.1 that nobody else gets before the peer does.

    It is bound here as long as the peer runs. Linux lets a second socket have the same port while both
    have SO_REUSEADDR, as servers do, and no other listens; but it gives the port to nobody who takes
    any that is free. See socket(7).
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def peer_command(name, port, workers, folder):
    """What starts a peer in the foreground. Writes what it needs into the folder."""
    root = os.geteuid() == 0
    nobody = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.geteuid())
    values = {"port": port, "workers": workers, "folder": folder, "modules": apache_modules(),
              "uid": nobody.pw_uid, "gid": nobody.pw_gid, "user": nobody.pw_name}

    def configuration(file):
        template = string.Template((paths.ROOT / "common/peers" / file).read_text())
        (folder / file).write_text(template.substitute(values))
        return str(folder / file)

    if name == "apache":
        return [find_program("apache2", "httpd"), "-DFOREGROUND", "-f", configuration("httpd.conf")]
    if name == "xinetd":
        return [find_program("xinetd"), "-dontfork", "-f", configuration("xinetd.conf"),
                "-pidfile", str(folder / "xinetd.pid")]
    # max-children: like the servers of the course, it lets further clients wait in the backlog.
    return [find_program("socat"),
            f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,max-children={workers},backlog=4096,nodelay", "PIPE"]


def wait_for_echo(process, port, log):
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(b"ready?\n")
            if connection.recv(16):
                return
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip().splitlines()
            raise program.Failure(f"{process.args[0]} did not start{': ' + said[-1] if said else ''}")
        time.sleep(0.02)


@contextlib.contextmanager
def running_peer(name, workers, prefix=()):
    """Runs a peer; gives its process and port. In a session of its own: Apache ends its process group by a signal."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=results.scratch()))
    log = folder / "output"
    with reserved_port() as port, log.open("w") as output:
        command = [*prefix, *peer_command(name, port, workers, folder)]
        ends = (0, -15, 143)  # some die of SIGTERM, or say that they did
        try:
            with program.started(command, ends, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                 start_new_session=True) as process:
                wait_for_echo(process, port, log)
                yield process, port
                # Its last children may still be ending. xinetd does not always see a SIGTERM that comes among
                # hundreds of SIGCHLD; and what they have used is to be in its account.
                deadline = time.monotonic() + 10
                while forks(name) and program.descendants(process.pid) and time.monotonic() < deadline:
                    time.sleep(0.01)
        finally:
            program.end_descendants()  # a child may outlive its server
            shutil.rmtree(folder)


# ---- all of them ----


def running(name, workers=8, prefix=(), **options):
    """Runs any design on a free port: a context that gives its process and port. PREFIX comes before its command."""
    if name in PEERS:
        return running_peer(name, workers, prefix)
    command = [chapters.floors()[name][1]] if name in chapters.floors() else registry.command(name)
    return serving.running([*prefix, *command], workers, **options)


def address(name):
    """The address that load is to be given.

    load connects from many addresses of 127.0.0.0/8, so that ports suffice, and xinetd would ask the name
    server for each. In this form the same IPv4 address is reached from 127.0.0.1 alone.
    """
    return "::ffff:127.0.0.1" if name == "xinetd" else "127.0.0.1"


def load(name, process, port, *options):
    """One run of the load generator against a design, with lines of text, for Apache echoes nothing else."""
    return serving.load(process, port, "-L", "-a", address(name), *options)
