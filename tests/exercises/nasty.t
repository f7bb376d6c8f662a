#!/usr/bin/env python3
"""Submissions that mean harm: what the grader says of each, and that nothing of them is left.

nasty/NAME holds what is handed in for the first exercise, and in `says` what must be in the answer (one of the
lines, where it differs with what the kernel allows).
"""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tap  # noqa: E402
from tap import expect, expect_in  # noqa: E402
from small import users_of_nobody  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/exercises"))
import course  # noqa: E402
import trial  # noqa: E402

NASTY = pathlib.Path(__file__).resolve().parent / "nasty"
PLACES = ["/tmp", "/var/tmp", "/dev/shm", "/", "/run", "/etc", "/home", "/root"]
USER = users_of_nobody()


def handed_in(name, patience=None):
    outcome = trial.try_out(course.find("01-1"), NASTY / name, patience=patience)
    expect(not outcome.passed and outcome.kind != "broken", f"{outcome.kind}: {outcome.words}")
    expect("\x1b" not in outcome.words, "it acts on the terminal")
    says = (NASTY / name / "says").read_text().splitlines()
    for line in says[:-1]:
        if " ".join(line.split()) in " ".join(outcome.words.split()):
            return
    expect_in(says[-1], outcome.words)


def tree():
    """All files of the repository, but for git's, what is built, and what is the reader's."""
    found = {}
    for folder, folders, names in os.walk(tap.ROOT):  # not into those, where all comes and goes
        folders[:] = [name for name in folders if name not in (".git", "build", "mine")]
        for name in names:
            status = os.lstat(f"{folder}/{name}")
            found[folder, name] = status.st_mtime_ns, status.st_size
    return found


def again(who, how, temporary):
    """All of it once more, as root or as an ordinary user, with namespaces or without."""
    become = [] if who == "root" or os.geteuid() != 0 else ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    if subprocess.run([*become, "test", "-r", tap.ROOT / "exercises/list", "-a", "-x", trial.SUPERVISE],
                      check=False).returncode:
        return "a user cannot read this folder"
    with tempfile.TemporaryDirectory(dir=temporary) as folder:
        os.chmod(folder, 0o755)
        if become:
            os.chown(folder, USER, USER)
        ran = subprocess.run([*become, trial.interpreter()[0], __file__, how], env={**os.environ, "TMPDIR": folder},
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    expect(ran.returncode == 0, ran.stdout)
    return None


def main():
    tap.adopt_orphans()
    names = sorted(path.name for path in NASTY.iterdir() if path.is_dir())
    # Without namespaces these take the processes that their user may have, from the others too: one at a time.
    bombs = ["fork-bomb", "thread-bomb", "many-files", "many-large-files", "deep-folders"]
    how = sys.argv[1] if len(sys.argv) > 1 else ""
    # Limits that are met soon, to keep this short. Without namespaces a bomb gets many times the processes of its limit,
    # and what else runs on this machine would stand still.
    os.environ["SUPERVISE"] = "-t 25 -m 300" + (" -n -p 32" if how == "without" else "")
    before = tree()
    with tempfile.TemporaryDirectory(prefix="nasty-") as temporary:
        os.chmod(temporary, 0o755)
        tempfile.tempdir = temporary

        def nothing_written():
            if how == "without" and "Landlock" not in trial.isolation():
                for place in PLACES:  # then nobody keeps it from there
                    with contextlib.suppress(OSError):
                        os.unlink(f"{place}/left-by-an-exercise")
            expect(tree() == before, "a file of the repository was changed")
            left = [path for path in pathlib.Path(temporary).rglob("*")]
            expect(not left, f"left behind: {left}")
            found = [place for place in PLACES if os.access(place, os.X_OK)
                     and os.path.lexists(f"{place}/left-by-an-exercise")]
            expect(not found, f"written to {found}")

        proofs = [("nothing that was handed in still lives", tap.no_child_left), ("nothing was written", nothing_written)]
        # A bomb goes off slowly on a busy machine: not before it has may its test give up.
        last = [(name, lambda name=name: handed_in(name, patience=60)) for name in bombs]
        if not how:
            for who in ("root", "user") if os.geteuid() == 0 else ("user",):
                for other in ("with", "without"):
                    if (who, other) != ("root" if os.geteuid() == 0 else "user", "with"):
                        last.append((f"the same: {who}, {other} namespaces",
                                     lambda who=who, other=other: again(who, other, temporary)))
        slow = ["leaks-memory"]  # to its limit
        tap.run([(name, lambda name=name: handed_in(name, patience=60 if name in slow else None))
                 for name in names if name not in bombs], together=6,
                seconds=900, last=last, stop=trial.stop_all, proofs=proofs)


if __name__ == "__main__":
    main()
