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

# How the designs are called in tables and plots. The numbers are those of `servers` in the Makefile.
NAMES = {
    "01": "1 fork per connection",
    "04": "4 prefork, select",
    "05": "5 exec workers",
    "05-python": "5 with worker.py",
    "accept": "accept floor",
    "reuseport": "reuseport floor",
    "apache": "Apache prefork",
    "xinetd": "xinetd",
    "socat": "socat",
}
SERVERS = tuple(name for name in NAMES if name[0].isdigit())
COMPARED = ("01", "04", "05")  # side by side in compare, peers, cost, growth and knee
FLOORS = ("accept", "reuseport")


def chapter(number):
    """The folder of a chapter: chapters/04-prefork-select for "04"."""
    return next((ROOT / "chapters").glob(number[:2] + "-*")).relative_to(ROOT)


def server_command(name):
    """What starts a chapter's server, or a floor."""
    if name in FLOORS:
        return [str(BUILD / "common/peers" / name)]
    command = [str(BUILD / chapter(name) / "server")]
    if name.endswith("-python"):
        command += ["-w", str(ROOT / chapter(name) / "worker.py")]
    return command


class Failure(Exception):
    """Something that ends the measurement; its text is one line for the user."""


@contextlib.contextmanager
def started(command, ends=(0,), **options):
    """Starts a program; ends it with SIGTERM, and looks whether it ended with one of these statuses."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        if process.returncode not in ends:
            how = "did not end" if process.returncode is None else f"ended with status {process.returncode}"
            raise Failure(f"{shlex.join(command)} {how}")
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running(command, workers=8, **options):
    """Runs a server on a free port; gives its process and port; ends it and looks how it ended."""
    command = [*command, "-p", "0", str(workers)]
    with started(command, stdout=subprocess.PIPE, text=True, **options) as process, process.stdout:
        ready = re.match(r"listening on .*:(\d+),", process.stdout.readline())
        if not ready:
            raise Failure(f"{shlex.join(command)} did not start")
        yield process, int(ready[1])


def load(process, port, *options):
    """One run of the load generator against a server. Gives its table's row as a dictionary."""
    command = [str(LOAD), "-T", "-p", str(port), "-P", str(process.pid), *map(str, options)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = result.stdout.splitlines()
    failure = Failure(f"{shlex.join(command)} ended with status {result.returncode}")
    if len(lines) != 2:
        raise failure
    row = dict(zip(lines[0].split("\t"), lines[1].split("\t")))
    # Connections that were lost are a result, too; what a load measured that could not go on is none.
    could_not = row["unfinished"] != "0" or row["server_us"] == "-"
    if could_not or (result.returncode != 0 and row["ok"] == row["connections"]):
        raise failure
    return {key: float(value) for key, value in row.items()}


class Progress:
    """A bar with the time left, on a terminal; else nothing."""

    def __init__(self, steps):
        self.steps, self.done, self.begin = steps, 0, time.monotonic()
        self.shown = sys.stderr.isatty()

    def step(self, what):
        """Says what comes next. The first call begins step 1."""
        if stopped:  # the exception was lost, in a destructor for example
            raise KeyboardInterrupt
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


def in_turn(rounds, runs):
    """Does the runs in turn, for so many rounds, so that what is compared was measured side by side.

    A run is what it is called, and a function that gives a dictionary. Gives all values by key, as
    lists in the order of the rounds.
    """
    values = {}
    progress = Progress(rounds * len(runs))
    for number in range(1, rounds + 1):
        for what, function in runs:
            progress.step(f"round {number} of {rounds}: {what}")
            for key, value in function().items():
                values.setdefault(key, []).append(value)
    progress.end()
    return values


# ---- statistics ----


def median(values):
    return statistics.median(values)


def spread(values, form="{:.0f}"):
    """Median and range, as text: "70 (68-75)"."""
    low, middle, high = (form.format(f(values)) for f in (min, median, max))
    return f"{middle} ({low}-{high})"


def ratios(values, base):
    """Round by round: what was measured one after the other is compared."""
    return [a / b for a, b in zip(values, base)]


WIDE = 1.4  # the differences that this course is about are larger


def verdict(by_round):
    """What the ratios of the rounds allow to say: "", "rough", "same" or "noisy".

    The machine's ups and downs last longer than a run, and mostly cancel out in the ratio of two runs
    that are neighbours. What does not cancel out is seen in how far apart the rounds' ratios are:

                                       highest up to 40 % above lowest    further apart
        all on the same side of 1      "": a difference, and its size     "rough": a difference
        on both sides of 1             "same": no difference is seen      "noisy": nothing

    The side matters because, were there no difference, each round would fall to either with even chance,
    and all N to the same with chance 2/2^N: for five rounds in one of 16 comparisons. So where all
    rounds agree there mostly is a difference, and where they do not, none is claimed.
    """
    low, high = min(by_round), max(by_round)
    agree = not low <= 1 <= high
    if high > WIDE * low:
        return "rough" if agree else "noisy"
    return "" if agree else "same"


MARKS = {"rough": "~ ", "same": "≈ ", "noisy": "? ", "": ""}


def ratio_text(by_round):
    """Verdict, median and range, as text: "0.52 (0.50-0.55)", "≈ 1.01 (0.98-1.03)", "? 0.92 (0.73-1.21)"."""
    return MARKS[verdict(by_round)] + spread(by_round, "{:.2f}" if max(by_round) < 10 else "{:.1f}")


def mark_notes(rows):
    """What the marks mean that occur in the rows of a table, for below it."""
    meaning = {"rough": "~: the rounds agree which of the two is less, but not by how much (over 40 % apart).",
               "same": "≈: the rounds lie on both sides of 1; no difference is seen.",
               "noisy": "?: the rounds lie on both sides of 1 and over 40 % apart; too noisy to conclude from."}
    return [text for what, text in meaning.items()
            if any(str(cell).startswith(MARKS[what]) for row in rows for cell in row)]


def noise_warning(comparisons, command):
    """A line when the machine was too noisy for some comparisons, a dictionary from name to ratios."""
    noisy = [name for name, by_round in comparisons.items() if verdict(by_round) == "noisy"]
    if not noisy:
        return ""
    more = f" and {len(noisy) - 6} more" if len(noisy) > 6 else ""
    return (f"The machine was too noisy to conclude from {len(noisy)} of {len(comparisons)} ratios, marked with ? above: "
            f"{'; '.join(noisy[:6])}{more}. Try again when it is quiet: {command}")


def percentile(ordered, percent):
    """The nearest-rank percentile of a sorted list, as common/load/samples.h defines it."""
    rank = -int(-percent / 100 * len(ordered) // 1)
    return ordered[min(max(rank, 1), len(ordered)) - 1]


# ---- results ----


def scratch():
    """This run's own folder for what is not finished. It goes when the run ends, however that is."""
    folder = BUILD / f"scratch.{os.getpid()}"
    if not folder.exists():
        for old in BUILD.glob("scratch.*"):  # of a run that was killed
            if not pathlib.Path("/proc", old.suffix[1:]).exists():
                shutil.rmtree(old, ignore_errors=True)
        folder.mkdir(parents=True)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def first_line(path):
    """The first line of a file, or "" where there is none to read."""
    with contextlib.suppress(OSError):
        return pathlib.Path(path).read_text().partition("\n")[0].strip()
    return ""


def virtualisation(cpuinfo):
    """What can be seen of it from within."""
    parts = []
    if re.search(r"^flags\s*:.* hypervisor( |$)", cpuinfo, re.M) or first_line("/sys/hypervisor/type"):
        maker = f"{first_line('/sys/class/dmi/id/sys_vendor')} {first_line('/sys/class/dmi/id/product_name')}".strip()
        parts.append(f"virtual machine{f' ({maker})' if maker else ''}")
    if pathlib.Path("/.dockerenv").exists() or pathlib.Path("/run/.containerenv").exists():
        parts.append("container")
    return ", ".join(parts) or "none seen"


LOAD_AT_BEGIN = os.getloadavg()


def machine():
    """The machine in a few lines, for the head of each file of results."""
    cpuinfo = ""
    with contextlib.suppress(OSError):
        cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.*)$", cpuinfo, re.M)
    governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not visible"
    return [
        f"machine: {platform.machine()}, {os.cpu_count()} CPUs, {len(os.sched_getaffinity(0))} of them allowed, "
        f"{model[1] if model else 'unknown model'}",
        f"frequency governor: {governor}; virtualisation: {virtualisation(cpuinfo)}",
        f"kernel: {platform.system()} {platform.release()}",
        f"load average at the beginning: {' '.join(f'{load:.2f}' for load in LOAD_AT_BEGIN)}",
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

    Columns of numbers go to the right, text and the first column to the left. The notes say, one a line, how to read it. In
    build/results/NAME.table.tsv title and notes are comments at the top.
    """
    rows = [[str(cell) for cell in row] for row in rows]

    def align(number, column):
        width = max(map(len, column))
        is_text = number == 0 or any(cell and not re.match(r"(?:[~≈?] )?[-(]?\d|-$", cell) for cell in column[1:])
        return [f"{cell:<{width}}" if is_text else f"{cell:>{width}}" for cell in column]

    columns = [str(column) for column in columns]
    aligned = [align(number, column) for number, column in enumerate(zip(columns, *rows))]
    print(f"\n{title}")
    for line in zip(*aligned):
        print("  ".join(["", *line]).rstrip())
    for note in notes:
        print(textwrap.fill(note, 100, initial_indent="  ", subsequent_indent="  "))
    write_table(RESULTS / f"{name}.table.tsv", columns, rows, [f"title: {title}", *(f"note: {n}" for n in notes)])


def gnuplot_value(value):
    """A value as gnuplot writes it: a number, or a string in single quotes."""
    return str(value) if isinstance(value, float) else "'" + str(value).replace("'", "''") + "'"


def draw(script, data, picture, terminal=True, **settings):
    """Draws with gnuplot: PICTURE.svg and PICTURE.png; and gives the terminal's version, if it has one, as text."""
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
    return "\n".join(line.rstrip() for line in gnuplot("dumb", "").splitlines()).strip("\n") if terminal else ""


# ---- beginning and end ----


def stop(number, _frame):
    global stopped
    stopped = number
    raise KeyboardInterrupt


stopped = 0  # by which signal


def descendants(root=None):
    """The processes that this one, or another, has started and that are left, children first."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has just ended
            parent = int(pathlib.Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(name))
    found = list(children.get(root or os.getpid(), []))
    for pid in found:
        found += children.get(pid, [])
    return found


def end_descendants():
    """Ends all that this program has started and that is still there. SIGTERM first, for servers to end workers.

    It does not matter where a signal interrupted this program: what it has started is found among the
    descendants, though no variable may have its id.
    """
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
    # Who loses its parent becomes a child of this process, where end_descendants finds it.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in STOPS:
        signal.signal(number, stop)
    # A signal that comes just before a system call does not interrupt it, and Python calls `stop` only when the
    # call has returned: after a wait for a server, say. So all calls are interrupted now and then, and go on.
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
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
        signal.setitimer(signal.ITIMER_REAL, 0)  # the interpreter, at its end, would be ended by it
        for number in STOPS:
            signal.signal(number, signal.SIG_IGN)
        end_descendants()
    sys.exit(status)
