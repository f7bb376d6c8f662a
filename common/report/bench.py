"""What all measurements share: start a server, load it, keep and show what came out."""
import atexit
import contextlib
import ctypes
import datetime
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
RESULTS = BUILD / "results"
LOAD = BUILD / "common/load/load"

# How the servers are called in tables and plots. The numbers are those of `servers` in the Makefile.
NAMES = {
    "01": "1 fork per connection",
    "04": "4 prefork, select",
    "05": "5 exec workers",
    "05-python": "5 with worker.py",
}


def chapter(number):
    """The folder of a chapter: chapters/04-prefork-select for "04"."""
    return next((ROOT / "chapters").glob(number[:2] + "-*")).relative_to(ROOT)


def server_command(name):
    command = [str(BUILD / chapter(name) / "server")]
    if name.endswith("-python"):
        command += ["-w", str(ROOT / chapter(name) / "worker.py")]
    return command


class Failure(Exception):
    """Something that ends the measurement; its text is one line for the user."""


@contextlib.contextmanager
def running(command, workers=8):
    """Runs a server on a free port; gives its process and port; ends it and looks how it ended."""
    process = subprocess.Popen(command + ["-p", "0", str(workers)], stdout=subprocess.PIPE, text=True)
    try:
        ready = re.match(r"listening on .*:(\d+),", process.stdout.readline())
        if not ready:
            raise Failure(f"{shlex.join(command)} did not start")
        yield process, int(ready[1])
        process.terminate()
        if process.wait(timeout=10) != 0:
            raise Failure(f"{shlex.join(command)} ended with status {process.returncode}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def load(process, port, *options):
    """One run of the load generator against a server. Gives its table's row as a dictionary."""
    command = [str(LOAD), "-T", "-p", str(port), "-P", str(process.pid), *map(str, options)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = result.stdout.splitlines()
    if len(lines) != 2:
        raise Failure(f"{shlex.join(command)} ended with status {result.returncode}")
    return {key: float(value) for key, value in zip(lines[0].split("\t"), lines[1].split("\t"))}


class Progress:
    """A bar with the time left, on a terminal; else nothing."""

    def __init__(self, steps):
        self.steps, self.done, self.begin = steps, 0, time.monotonic()
        self.shown = sys.stderr.isatty()

    def step(self, what):
        """Says what comes next. The first call begins step 1."""
        if self.shown:
            part = self.done / self.steps
            passed = time.monotonic() - self.begin
            left = f"{passed / part - passed:4.0f} s left" if self.done else ""
            bar = "#" * int(30 * part)
            print(f"\r\033[K[{bar:.<30}] {left}  {what}", end="", file=sys.stderr, flush=True)
        self.done += 1

    def end(self):
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


# ---- statistics ----


def median(values):
    return statistics.median(values)


def spread(values, form="{:.0f}"):
    """Median and range, as text: "70 (68-75)"."""
    low, middle, high = (form.format(f(values)) for f in (min, median, max))
    return f"{middle} ({low}-{high})"


def percentile(ordered, percent):
    """The nearest-rank percentile of a sorted list, as common/load/samples.h defines it."""
    rank = -int(-percent / 100 * len(ordered) // 1)
    return ordered[min(max(rank, 1), len(ordered)) - 1]


# ---- results ----


def scratch():
    """This run's own folder for what is not finished. It goes when the run ends, however that is."""
    folder = BUILD / f"scratch.{os.getpid()}"
    if not folder.exists():
        folder.mkdir(parents=True)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def machine():
    """The machine in a few lines, for the head of each file of results."""
    cpu = "unknown CPU"
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
        cpu = found[1] if found else platform.machine()
    return [
        f"machine: {platform.machine()}, {os.cpu_count()} CPUs, {cpu}",
        f"kernel: {platform.system()} {platform.release()}",
        f"date: {datetime.datetime.now().astimezone().isoformat(timespec='seconds')}",
        f"command: {shlex.join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]])}",
    ]


@contextlib.contextmanager
def written(path):
    """Gives a path to write to. What was written there becomes PATH at the end, or else nothing does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = scratch() / path.name
    yield part
    part.replace(path)


def write_table(path, columns, rows, head=()):
    """Writes tab-separated values behind comments: those of HEAD, and the machine's description."""
    with written(path) as part, part.open("w") as file:
        for line in (*head, *machine()):
            print("#", line, file=file)
        print(*columns, sep="\t", file=file)
        for row in rows:
            print(*row, sep="\t", file=file)


def show_table(name, title, columns, rows, notes=()):
    """Prints a table, its cells being text for readers; also keeps it, for the page of results.

    The first column names the rows and goes to the left, the others to the right. The notes say, one a
    line, how to read it. In build/results/NAME.table.tsv title and notes are comments at the top.
    """
    rows = [[str(cell) for cell in row] for row in rows]
    lines = [[str(column) for column in columns], *rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    print(f"\n{title}")
    for line in lines:
        cells = [f"{cell:>{width}}" for cell, width in zip(line, widths)]
        cells[0] = f"{line[0]:<{widths[0]}}"
        print("  " + "   ".join(cells).rstrip())
    for note in notes:
        print(textwrap.fill(note, 100, initial_indent="  ", subsequent_indent="  "))
    write_table(RESULTS / f"{name}.table.tsv", columns, rows, [f"title: {title}", *(f"note: {n}" for n in notes)])


def gnuplot_value(value):
    """A value as gnuplot writes it: a number, or a string in single quotes."""
    return str(value) if isinstance(value, float) else "'" + str(value).replace("'", "''") + "'"


def draw(script, data, picture, **settings):
    """Draws with gnuplot: PICTURE.svg and PICTURE.png, and gives the terminal's version as text."""
    folder = ROOT / "common/report"

    def gnuplot(kind, out):
        values = settings | {"data": data, "lib": folder, "kind": kind, "out": out}
        assign = "; ".join(f"{name}={gnuplot_value(value)}" for name, value in values.items())
        result = subprocess.run(["gnuplot", "-e", assign, folder / "style.gp", folder / script],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if result.returncode != 0:
            raise Failure(f"gnuplot {script}: {result.stderr.strip()}")
        return result.stdout

    for kind in ("svg", "png"):
        with written(pathlib.Path(f"{picture}.{kind}")) as part:
            gnuplot(kind, part)
    return gnuplot("dumb", "")


# ---- beginning and end ----


def stop(number, _frame):
    global stopped
    stopped = number
    raise KeyboardInterrupt


stopped = 0  # by which signal


def descendants():
    """The processes that this one has started and that are left, children first."""
    children = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = list(children.get(os.getpid(), []))
    for pid in found:
        found += children.get(pid, [])
    return found


def clean_up():
    """Ends what is still running.

    Where a signal interrupted this program does not matter: what has been started is found among the
    descendants, though no variable has its id. SIGTERM first: a server ends its workers then.
    """
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    deadline = time.monotonic() + 2
    asked = set()
    while left := descendants():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                elif pid not in asked:
                    os.kill(pid, signal.SIGTERM)
                    asked.add(pid)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.005)


STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_CHILD_SUBREAPER = 36


def main(function):
    """Runs a measurement: a failure is one line and status 1; a signal ends it and what it started."""
    # Who loses its parent becomes a child of this process, where clean_up finds it.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in STOPS:
        signal.signal(number, stop)
    name = pathlib.Path(sys.argv[0]).name
    status = 1
    try:
        function()
        status = 0
    except (Failure, OSError) as failure:
        print(f"{name}: {failure}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"\n{name}: stopped", file=sys.stderr)
        status = 128 + (stopped or signal.SIGINT)
    finally:
        clean_up()
    sys.exit(status)
