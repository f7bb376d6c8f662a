"""What all measurements share: start a server, load it, keep and show what came out."""
import contextlib
import datetime
import os
import pathlib
import platform
import re
import shlex
import signal
import statistics
import subprocess
import sys
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


def write_table(path, columns, rows):
    """Writes tab-separated values behind the machine's description; all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w") as file:
        for line in machine():
            print("#", line, file=file)
        print(*columns, sep="\t", file=file)
        for row in rows:
            print(*row, sep="\t", file=file)
    part.rename(path)


def gnuplot_value(value):
    """A value as gnuplot writes it: a number, or a string in single quotes."""
    return str(value) if isinstance(value, float) else "'" + str(value).replace("'", "''") + "'"


def draw(script, data, picture, **settings):
    """Draws with gnuplot: PICTURE.svg and PICTURE.png, and gives the terminal's version as text."""
    settings |= {"data": data, "lib": ROOT / "common/report"}
    for kind in ("svg", "png", "dumb"):
        values = settings | {"kind": kind, "out": f"{picture}.{kind}"}
        assign = "; ".join(f"{name}={gnuplot_value(value)}" for name, value in values.items())
        result = subprocess.run(
            ["gnuplot", "-e", assign, ROOT / "common/report/style.gp", ROOT / "common/report" / script],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if result.returncode != 0:
            raise Failure(f"gnuplot {script}: {result.stderr.strip()}")
    return result.stdout


def main(function):
    """Runs a measurement: a failure is one line and status 1; Ctrl-C ends it and what it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = pathlib.Path(sys.argv[0]).name
    try:
        function()
    except Failure as failure:
        sys.exit(f"{name}: {failure}")
    except OSError as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"\n{name}: stopped")
