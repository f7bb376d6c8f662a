#!/usr/bin/env python3
"""diff.py NN: what chapter NN changed, line by line, in the modules of the chapter with a server
before it; and which modules are new.
"""
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "report"))
import terminal


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # make diff-05 | head
    number, = sys.argv[1:] or sys.exit("usage: diff.py NN")
    rooms = [server.parent for server in sorted(pathlib.Path("chapters").glob("[0-9]*/server.c"))]
    numbers = [room.name.partition("-")[0] for room in rooms]
    if number not in numbers[1:]:
        has = "the first server" if number in numbers else "no server"
        terminal.complain(f"diff: chapter {number} has {has}; say one of: {' '.join(numbers[1:])}")
        sys.exit(2)
    here = rooms[numbers.index(number)]
    before = rooms[numbers.index(number) - 1]
    new = []
    for module in sorted(here.iterdir()):
        if module.suffix not in (".c", ".h", ".py") or module.name == "show.py":
            continue
        old = before / module.name
        if not old.is_file():
            new.append(f"new: {module}, {len(module.read_text().splitlines())} lines")
            continue
        labels = ["--label", str(old), "--label", str(module)]
        changes = subprocess.run(["diff", "-U2", *labels, old, module],
                                 stdout=subprocess.PIPE, text=True, check=False)
        if changes.returncode > 1:
            sys.exit(changes.returncode)
        for line in changes.stdout.splitlines():
            print(terminal.of_diff(line))
    print(*new, sep="\n", end="\n" if new else "")


if __name__ == "__main__":
    main()
