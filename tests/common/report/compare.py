#!/usr/bin/env python3
"""Test of common/report/compare.py and comparison.py: tables, the comparison with an earlier run. The measurement itself is not run."""
import contextlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import paths  # noqa: E402
import program  # noqa: E402
import results  # noqa: E402
import compare  # noqa: E402
import comparison  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="compare-test-"))
shutil.copy(paths.BUILD / "servers.tsv", FOLDER)
paths.BUILD, paths.RESULTS = FOLDER, FOLDER / "results"


def rows(cpu, server="04", clients=8, p50=100.0):
    """A row for each round, with these CPU times."""
    zeros = dict.fromkeys(comparison.COLUMNS, 0.0)
    return [zeros | {"round": number, "server": server, "clients": clients, "server_us": us, "p50_us": p50, "ok": 9.0,
                     "connections": 9.0, "rate": 1.0, "p99_us": p50, "p99.9_us": p50} for number, us in enumerate(cpu, 1)]


def written(text):
    path = FOLDER / "base.tsv"
    path.write_text(text)
    return str(path)


def test_what_was_written_is_read_again():
    run = rows([70.25, 71.5]) + rows([200.0], "01", 1)
    latencies = {(server, clients): [1.0] for server in ("01", "04") for clients in (1, 8)}
    everything = run + rows([1.0], "01", 8) + rows([1.0], "04", 1)
    comparison.write_results("compare", everything, latencies, ["01", "04"], [1, 8])
    again, comments = compare.read_runs(paths.RESULTS / "compare.tsv")
    tap.equal(comparison.values(again, "04", 8, "server_us"), [70.25, 71.5])
    tap.equal(comparison.values(again, "01", 1, "server_us"), [200.0])
    assert any(line.startswith("kernel: ") for line in comments), comments


def test_an_earlier_run_outlives_make_clean():
    here = FOLDER / "clean"
    plain = {name: value for name, value in os.environ.items()
             if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    plain |= {"BUILD": str(here / "build"), "MINE": str(here / "mine")}
    columns = ["round", "server", "clients", "p50_us", "server_us"]
    write = ("import sys; sys.path.insert(0, 'common/report'); import paths, results\n"
             "results.begin()\n"
             "path = paths.RESULTS / 'compare.tsv'\n"
             "for us in 70, 80:\n"
             f"    results.write_table(path, {columns}, [[1, '04', 8, 100, us]])\n")
    subprocess.run([sys.executable, "-c", write], cwd=tap.ROOT, env=plain, check=True)
    said = subprocess.run(["make", "-s", "clean"], cwd=tap.ROOT, env=plain, stdout=subprocess.PIPE,
                          text=True, check=True)
    tap.equal(said.stdout, f"clean: {here}/mine/ is left, with 2 measurements\n")
    tap.equal((here / "build").exists(), False)
    last, (before,) = here / "mine/results/compare.tsv", (here / "mine/results/earlier").iterdir()
    for path, ratio in (last, "0.50"), (before, "0.57"):
        text = shown(compare.read_runs(path)[0], rows([40.0]))
        assert ratio in text, text


def test_a_file_that_is_no_table_is_one_clear_line():
    columns = "round\tserver\tclients\tp50_us\tserver_us\n"
    for text, reason in (("", "no column round"),
                         ("hello\nworld\n", "no column round"),
                         ("# machine: x\n", "no column round"),
                         ("clients\tp50 01\n1\t2\n", "no column round"),
                         ("round\tserver\tclients\tserver_us\n", "no column p50_us"),
                         (columns, "no rows"),
                         (columns + "1\t04\t8\t50\n", "row 1"),
                         (columns + "1\t04\t8\t50\t70\n1\t04\teight\t50\t70\n", "row 2")):
        path = written(text)
        said = tap.raises(program.Failure, compare.read_runs, path)
        assert said.startswith(f"{path}: no table of all runs as make compare writes it: ") and reason in said, said
        assert "\n" not in said
    path = written("")
    pathlib.Path(path).write_bytes(b"\x7fELF\xff\xfe")
    tap.equal(tap.raises(program.Failure, compare.read_runs, path), f"{path}: not a text file")
    tap.equal(tap.raises(program.Failure, compare.read_runs, "/no/such.tsv"), "/no/such.tsv: No such file or directory")


def test_a_difference_is_beyond_the_spread_when_the_ranges_do_not_overlap():
    tap.equal(compare.beside([10, 11, 12], [20, 22, 24]), (2.0, True))
    tap.equal(compare.beside([20, 22, 24], [10, 11, 12]), (0.5, True))
    tap.equal(compare.beside([10, 11, 12], [12, 22, 24]), (2.0, False))
    tap.equal(compare.beside([10, 11, 12], [10, 11, 12]), (1.0, False))


def shown(old, new, comments=()):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        compare.show_beside(old, new, "old.tsv", list(comments))
    return out.getvalue()


def test_two_runs_are_laid_side_by_side():
    text = shown(rows([70, 72, 74]), rows([35, 36, 37], p50=100.0))
    cpu, p50 = (next(line for line in text.splitlines() if line.strip().startswith(what)) for what in ("CPU 4", "p50 4"))
    for word in ("72 (70-74)", "36 (35-37)", "0.50", "beyond the spread"):
        assert word in cpu, cpu
    for word in ("1.00", "within the spread"):
        assert word in p50, p50


def test_what_only_one_of_the_runs_has_is_left_out():
    text = shown(rows([70]) + rows([1], "01"), rows([35]) + rows([1], "05"))
    assert "4 prefork" in text and "1 fork" not in text and "5 exec" not in text, text


def test_runs_that_have_nothing_in_common_are_an_error():
    said = tap.raises(program.Failure, compare.show_beside, rows([1], "01"), rows([1], "04"), "old.tsv", [])
    tap.equal(said, "old.tsv: none of its servers and numbers of clients has been measured now")


def test_another_machine_is_told():
    mine = [line for line in results.machine() if line.startswith("machine:")]
    assert "another machine" not in shown(rows([1]), rows([1]), mine)
    assert "another machine, or another kernel: machine: a toaster" in shown(rows([1]), rows([1]), ["machine: a toaster", "date: 1999"])


def test_tables_name_what_is_noisy_and_count_what_was_lost():
    run = rows([100, 100, 100], "01") + rows([90, 90, 140], "04")
    run[0]["ok"] -= 2
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        lost = comparison.show_tables("compare", run, ["01", "04"], [8], "make compare")
    tap.equal(lost, 2)
    text = out.getvalue()
    assert "? 0.90 (0.90-1.40)" in text, text
    assert "connections lost, of 54: 2 by chapter 01, 0 by chapter 04" in text, text
    assert "too noisy to conclude from 1 of 1 ratios" in text and "Try again when it is quiet: make compare" in text, text


def test_the_verdict_comes_last():
    run = [*rows([100, 100, 100], "01"), *rows([25, 26, 27]), *rows([24, 26, 28], "05")]
    kept = comparison.measure, comparison.draw
    comparison.measure = lambda *_: (run, {(row["server"], 8): [1.0] * 3 for row in run})
    comparison.draw = lambda *_: ["cpu"]
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            comparison.compare("compare", ["01", "04", "05"], [8], 3, 1,
                               also=lambda _: print("beside an older run"))
    finally:
        comparison.measure, comparison.draw = kept
    above, _, last = out.getvalue().rpartition("\n\n")
    assert "beside an older run" in above and "picture: " in above, above
    tap.equal(last.splitlines(), [
        "In short: CPU per connection, 8 clients, beside 1 fork per connection:",
        "  4 prefork, select: less, 0.26 of it", "  5 exec workers: less, 0.26 of it"])


os.environ["COLUMNS"] = "120"  # in which tables need not be laid out anew
try:
    tap.run(vars())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
