#!/usr/bin/env python3
"""Test of common/report/results.py: tables, and that nothing is left half done."""
import contextlib
import io
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import paths  # noqa: E402
import results  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="results-test-"))
paths.BUILD, paths.RESULTS = FOLDER, FOLDER / "results"


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


try:
    tap.run(vars())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
