"""Files of results, each complete or not there; and tables, for the terminal and for the page of results."""
import atexit
import contextlib
import datetime
import os
import pathlib
import platform
import re
import shlex
import shutil
import sys

import mine
import paths
import terminal


def scratch():
    """This run's own folder for what is not finished. It goes when the run ends, however that is."""
    folder = paths.BUILD / f"scratch.{os.getpid()}"
    if not folder.exists():
        for old in paths.BUILD.glob("scratch.*"):  # of a run that was killed
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


def begin():
    """What each measurement begins with, and not what it ends with: can its results be kept?"""
    mine.take_over_unasked()
    mine.make(paths.RESULTS)


@contextlib.contextmanager
def written(path):
    """Gives a path to write to. What was written there becomes PATH at the end, or else nothing does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = scratch() / path.name
    yield part
    beside = path.with_name(f".{part.name}.{os.getpid()}")  # scratch may be on another file system
    shutil.copyfile(part, beside)
    keep_earlier(path)
    beside.replace(path)


def earlier(name):
    """The tables of this name that a later run has replaced, the oldest first."""
    kept = (paths.RESULTS / "earlier").glob(f"{name}.[0-9]*.tsv")
    return sorted(kept, key=lambda path: path.stat().st_mtime_ns)


def keep_earlier(path):
    """Keeps a table that is about to be replaced, under the time at which it was written.

    Pictures and what was printed say nothing that is not in it.
    """
    if path.suffix != ".tsv" or path.name.endswith(".table.tsv") or not path.is_file():
        return
    time = datetime.datetime.fromtimestamp(path.stat().st_mtime)
    kept = mine.free(path.parent / "earlier" / f"{path.stem}.{time:%Y-%m-%d-%H%M%S}.tsv")
    kept.parent.mkdir(exist_ok=True)
    shutil.copy2(path, kept)


def write_table(path, columns, rows, head=()):
    """Writes tab-separated values behind comments: those of HEAD, and the machine's description."""
    with written(path) as part, part.open("w") as file:
        for line in (*head, *machine()):
            print("#", line, file=file)
        print(*columns, sep="\t", file=file)
        for row in rows:
            print(*row, sep="\t", file=file)


def show_table(name, title, columns, rows, notes=(), keys=1):
    """Prints a table, its cells being text for readers, as terminal.table lays it out; also keeps
    it, for the page of results.

    The notes say, one a line, how to read it. In mine/results/NAME.table.tsv title and notes are
    comments at the top.
    """
    rows = [list(row) for row in rows]
    print(f"\n{terminal.wrapped(title)}")
    print(*terminal.table(columns, rows, keys), sep="\n")
    for note in notes:
        print(terminal.wrapped(note, "  "))
    write_table(paths.RESULTS / f"{name}.table.tsv", columns, rows, [f"title: {title}", *(f"note: {n}" for n in notes)])
