#!/usr/bin/env python3
"""Test of common/report/results.py: tables, and that nothing is left half done."""
import contextlib
import io
import os
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import paths  # noqa: E402
import mine  # noqa: E402  whose folder paths has found
import results  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="results-test-"))
paths.BUILD, paths.RESULTS = FOLDER, FOLDER / "results"
os.environ["MINE"] = str(FOLDER)  # nothing of the reader's is taken over meanwhile


def test_a_table_is_aligned_and_kept():
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        results.show_table("thing", "A title", ["what", "number", "text"], [["1 one", 5, "a"], ["two", "≈ 1 (0-11)", "bcd"]], ["A note."])
    tap.equal(out.getvalue().splitlines(), [
        "",
        "A title",
        "  what       number  text",
        "  1 one           5  a",
        "  two    ≈ 1 (0-11)  bcd",
        "  A note.",
    ])
    lines = (paths.RESULTS / "thing.table.tsv").read_text().splitlines()
    tap.equal(lines[:2], ["# title: A title", "# note: A note."])
    tap.equal(lines[-3:], ["what\tnumber\ttext", "1 one\t5\ta", "two\t≈ 1 (0-11)\tbcd"])
    described = " ".join(line for line in lines if line.startswith("# "))
    for word in ("machine:", "allowed", "governor", "virtualisation", "kernel:", "load average", "date:", "command:"):
        assert word in described, word


def test_a_result_that_fails_leaves_the_old_one():
    path = paths.RESULTS / "old.tsv"
    results.write_table(path, ["a"], [[1]])
    before = path.read_text()

    def rows():
        yield [2]
        raise ValueError

    tap.raises(ValueError, results.write_table, path, ["a"], rows())
    tap.equal(path.read_text(), before)
    tap.equal(sorted(p.name for p in paths.RESULTS.iterdir() if p.name.startswith("old")), ["old.tsv"])


def test_an_earlier_table_is_kept():
    for number in range(3):  # within a second, too
        results.write_table(paths.RESULTS / "again.tsv", ["a"], [[number]])
        results.write_table(paths.RESULTS / "again.table.tsv", ["a"], [[number]])
        results.write_table(paths.RESULTS / "again-other.tsv", ["a"], [[number]])
    tap.equal([path.read_text().splitlines()[-1] for path in results.earlier("again")], ["0", "1"])
    tap.equal((paths.RESULTS / "again.tsv").read_text().splitlines()[-1], "2")
    kept = [path.name for path in (paths.RESULTS / "earlier").glob("again*")]
    tap.equal(len(kept), 4)
    for name in kept:
        assert re.fullmatch(r"again(-other)?\.\d{4}-\d\d-\d\d-\d{6}(-2)?\.tsv", name), name


def test_results_may_lie_on_another_file_system():
    other = pathlib.Path("/dev/shm")
    if not os.access(other, os.W_OK) or other.stat().st_dev == FOLDER.stat().st_dev:
        return "there is no other"
    with tempfile.TemporaryDirectory(dir=other) as folder:
        path = pathlib.Path(folder) / "results/far.tsv"
        results.write_table(path, ["a"], [[1]])
        tap.equal(path.read_text().splitlines()[-1], "1")
        tap.equal(os.listdir(path.parent), ["far.tsv"])
    return None


def test_a_measurement_that_cannot_be_kept_is_not_begun():
    results.begin()
    assert paths.RESULTS.is_dir()
    kept, paths.RESULTS = paths.RESULTS, FOLDER / "file/results"
    try:
        (FOLDER / "file").touch()
        said = tap.raises(mine.Unwritable, results.begin)
    finally:
        paths.RESULTS = kept
    tap.equal(said, f"{FOLDER}/file/results: cannot be written (Not a directory); "
                    "say another folder: MINE=FOLDER")


try:
    tap.run(vars())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
