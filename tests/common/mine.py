#!/usr/bin/env python3
"""Test of common/mine.py: what is the reader's outlives make clean, that of older versions, too."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common"))
import mine  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="mine-test-"))
MADE_BY_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MINE", "BUILD")


def fresh(*files):
    """A folder with build/, as make has made it, and these files, each of which contains its own name."""
    top = pathlib.Path(tempfile.mkdtemp(dir=FOLDER))
    (top / "build").mkdir()
    (top / "build/flags").touch()
    for name in files:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    return top


def clean(top, status=0, mine="mine"):
    """Runs make clean there; gives the files that are left, and what was said."""
    plain = {name: value for name, value in os.environ.items() if name not in MADE_BY_MAKE}
    ran = subprocess.run(["make", "-s", "clean", f"BUILD={top}/build", f"MINE={top}/{mine}"],
                         cwd=tap.ROOT, env=plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, check=False)
    tap.equal((ran.returncode, ran.stdout if ran.returncode != status else ""), (status, ""))
    left = (path.relative_to(top) for path in top.rglob("*") if path.is_file())
    files = sorted(str(path) for path in left if path.parts[:2] != ("build", "python"))  # what has just been compiled
    return files, ran.stdout.replace("\n  ", " ").replace(str(top), "TOP")  # lines are wrapped


def test_clean_removes_what_was_made_and_says_what_it_leaves():
    answer = [f"mine/exercises/01-1-zombies/{name}" for name in ("before-reset-1/server.c", "passed")]
    tables = [f"mine/results/{name}" for name in ("compare.svg", "compare.table.tsv", "compare.tsv",
                                                  "earlier/compare.2026-03-01-120000.tsv")]
    top = fresh("build/common/common.a", "build/exercises/01-1-zombies/server", *answer, *tables)
    said = ("clean: TOP/mine/ is left, with 1 answer kept by reset, 1 passed exercise, "
            "2 measurements\n")
    tap.equal(clean(top), (answer + tables, said))


def test_clean_says_nothing_where_there_is_nothing():
    tap.equal(clean(fresh("build/common/common.a")), ([], ""))
    tap.equal(clean(fresh("mine/README.txt")), (["mine/README.txt"], ""))


def test_clean_takes_over_what_an_older_version_kept_in_build():
    yours = ["exercises/01-1-zombies/before-reset-1/server.c", "exercises/01-1-zombies/passed",
             "exercises/02-1-never-ends/hints", "results/compare.svg", "results/compare.tsv"]
    top = fresh("build/exercises/01-1-zombies/server", *(f"build/{name}" for name in yours))
    files, said = clean(top)
    tap.equal(files, ["mine/README.txt", *(f"mine/{name}" for name in yours)])
    tap.equal((top / "mine/results/compare.tsv").read_text(), "build/results/compare.tsv")
    tap.equal(said.splitlines()[0], "TOP/mine/ now has what was yours in TOP/build/")


def test_what_both_versions_have_is_not_lost():
    reset, table = "exercises/01-1-zombies/before-reset-1/server.c", "results/compare.tsv"
    top = fresh(*(f"{folder}/{name}" for folder in ("build", "mine") for name in (reset, table)))
    clean(top)
    (top / "build/results").mkdir(parents=True)
    (top / f"build/{table}").write_text("again")
    (top / "build/flags").touch()
    clean(top)
    for name in reset, table:
        tap.equal((top / f"mine/{name}").read_text(), f"mine/{name}")
        tap.equal((top / f"mine/from-build/{name}").read_text(), f"build/{name}")
    tap.equal((top / "mine/from-build/results/compare-2.tsv").read_text(), "again")


def test_clean_does_not_remove_what_is_the_readers_with_what_was_made():
    top = fresh("build/mine/results/compare.tsv")
    files, said = clean(top, status=2, mine="build/mine")
    tap.equal(files, ["build/flags", "build/mine/results/compare.tsv"])
    tap.equal(said.splitlines()[0], "clean: MINE=TOP/build/mine lies in TOP/build/; move it first, "
                                    "it has 1 measurement")


def test_clean_removes_nothing_when_it_cannot_take_over():
    kept = ["build/exercises/01-1-zombies/before-reset-1/server.c", "build/results/compare.tsv"]
    top = fresh(*kept, "mine")
    files, said = clean(top, status=2)
    tap.equal(files, [kept[0], "build/flags", *kept[1:], "mine"])
    tap.equal(said.splitlines()[0], "clean: TOP/mine/exercises/01-1-zombies: cannot be written "
                                    "(Not a directory); say another folder: MINE=FOLDER")


def refused():
    """What is said when mine/ may not be written to."""
    try:
        mine.make(mine.FOLDER / "results")
    except mine.Unwritable as reason:
        return str(reason)
    return "it was written to"


def test_what_belongs_to_root_is_said_with_the_cure():
    top = fresh("mine/README.txt")
    FOLDER.chmod(0o755)
    top.chmod(0o755)
    (top / "mine").chmod(0o555)
    there = f"{top}/mine/results: cannot be written (Permission denied); "
    child = os.fork()
    if child == 0:
        status = 1
        try:
            mine.FOLDER = top / "mine"
            cure = "say another folder: MINE=FOLDER"
            if os.geteuid() == 0:
                os.setuid(65534)
                cure = f'it belongs to root: sudo chown -R "$USER" {top}/mine'
            tap.equal(refused(), there + cure)
            status = 0
        except AssertionError as wrong:
            print(wrong, file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    tap.equal(os.waitpid(child, 0)[1], 0)
    (top / "mine").chmod(0o755)  # or it could not be removed


def test_the_text_says_what_is_what():
    top = fresh("mine/README.txt")
    mine.FOLDER = top / "mine"
    mine.make(mine.FOLDER / "results")
    tap.equal((top / "mine/README.txt").read_text(), mine.TEXT)
    assert max(map(len, mine.TEXT.splitlines())) <= 80
    mine.make(top / "elsewhere")  # as where a test has its results
    tap.equal(os.listdir(top / "elsewhere"), [])


try:
    tap.run(vars())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
