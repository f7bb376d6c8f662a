#!/usr/bin/env python3
"""Test of common/report/terminal.py: what is printed fits, and nothing of it is lost."""
import os
import pathlib
import sys
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import screen  # noqa: E402
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import terminal  # noqa: E402

RANGE = "219 (210-230)"
HEAD = f"import os, sys; sys.path.insert(0, {str(tap.ROOT / 'common/report')!r}); import terminal; "


def columns(number):
    """As if the terminal had so many columns."""
    return unittest.mock.patch.dict(os.environ, {"COLUMNS": str(number)})


def printed_on(width, code, **environment):
    """What Python prints on a terminal of this width."""
    command = [sys.executable, "-B", "-c", HEAD + code]
    status, seen = screen.run(command, width, **environment)
    tap.equal(status, 0)
    return seen


def width_on(width, code="", **environment):
    code += "print(terminal.width(), file=sys.stderr)"
    return printed_on(width, code, **environment).lines[0]


def test_the_width_is_that_of_the_terminal():
    tap.equal([width_on(width) for width in (80, 120, 43)], ["80", "120", "43"])


def test_columns_says_it_instead_if_it_is_a_number():
    tap.equal([width_on(100, COLUMNS=told) for told in ("90", "0", "", "wide")],
              ["90", "100", "100", "100"])


def test_without_a_terminal_it_is_80():
    with unittest.mock.patch.dict(os.environ), \
            unittest.mock.patch("os.get_terminal_size", side_effect=OSError):
        os.environ.pop("COLUMNS", None)
        tap.equal(terminal.width(), 80)


def test_where_stdout_is_a_pipe_stderr_tells():
    tap.equal(width_on(111, "os.dup2(os.pipe()[1], 1); "), "111")


def test_prose_is_wrapped_between_words():
    with columns(30):
        text = terminal.wrapped("the words of a sentence that goes on and on", "  ")
        tap.equal(text.splitlines(), ["  the words of a sentence that", "  goes on and on"])
        text = terminal.wrapped("see build/results/a-name-that-is-long.tsv there")
        tap.equal(text.splitlines(), ["see", "build/results/a-name-that-is-long.tsv", "there"])
    with columns(500):
        assert max(map(len, terminal.wrapped("word " * 200).splitlines())) <= 100


def test_a_message_is_wrapped_on_a_terminal_only():
    say = f"terminal.complain('{'word ' * 30}')"
    tap.equal(len(printed_on(80, say).wrapped), 0)
    tap.equal(len(printed_on(80, f"sys.stderr.isatty = lambda: False; {say}").wrapped), 1)


def test_a_call_is_folded_behind_commas_and_is_whole():
    call = 'worker 1 recvmsg(6, {msg_iov=[{iov_base="", iov_len=1}], msg_control=[{}]}, 0) = 1'
    with columns(60):
        lines = terminal.folded(call, " " * 13).splitlines()
    tap.equal(lines, ['worker 1 recvmsg(6, {msg_iov=[{iov_base="", iov_len=1}],',
                      "             msg_control=[{}]}, 0) = 1"])
    with columns(20):
        lines = terminal.folded("x" * 50, "    ").splitlines()
    tap.equal(lines, ["x" * 20, "    " + "x" * 16, "    " + "x" * 14])


def test_a_line_of_a_diff_is_folded_behind_its_sign_on_a_terminal_only():
    line = "+    int result = pool_work(channel, echo, " + "and_what_else, " * 5
    seen = printed_on(80, f"print(terminal.of_diff({line!r}))")
    tap.equal(seen.wrapped, [])
    tap.equal([text[:9].strip(" ") for text in seen.lines if text], ["+    int", "+"])
    with unittest.mock.patch("sys.stdout.isatty", lambda: False):
        tap.equal(terminal.of_diff(line), line)


def fits(width, heads, rows, keys=1):
    """The table at this width: looks whether all cells are there, whole. Gives its lines."""
    with columns(width):
        lines = terminal.table(heads, rows, keys)
    assert max(map(len, lines)) <= width, "\n".join(lines)
    words = " ".join(lines).split()
    for row in rows:
        for cell in row:
            for word in cell.split():
                assert word in words, (word, lines)
    return lines


def test_a_table_that_fits_stays_as_it_is():
    rows = [["1 one", "5", "a"], ["two", "≈ 1 (0-11)", "bcd"]]
    tap.equal(fits(80, ["what", "number", "text"], rows), [
        "  what       number  text",
        "  1 one           5  a",
        "  two    ≈ 1 (0-11)  bcd",
    ])


def test_of_one_that_is_too_wide_the_heads_are_folded():
    rows = [["a server", "5.0", "6.0"]]
    tap.equal(fits(40, ["", "voluntary switches", "involuntary switches"], rows), [
        "            voluntary  involuntary",
        "             switches     switches",
        "  a server        5.0          6.0",
    ])


def test_or_its_long_text_is_wrapped():
    rows = [["fork", "14", "accept4, clone, wait, 2 close, write"], ["pool", "5", "accept4"]]
    tap.equal(fits(40, ["", "calls", "which"], rows), [
        "        calls  which",
        "  fork     14  accept4, clone, wait,",
        "                2 close, write",
        "  pool      5  accept4",
    ])


def test_or_it_is_turned():
    rows = [["closed loop", *[RANGE] * 3], ["open loop", *[RANGE] * 3]]
    tap.equal(fits(50, ["", "p50", "p99", "p99.9"], rows), [
        "           closed loop      open loop",
        "  p50    219 (210-230)  219 (210-230)",
        "  p99    219 (210-230)  219 (210-230)",
        "  p99.9  219 (210-230)  219 (210-230)",
    ])


def test_or_its_labels_are_folded():
    rows = [["1 fork per connection", *[RANGE] * 2]] + [["socat", *[RANGE] * 2]] * 5
    tap.equal(fits(50, ["", "a", "b"], rows)[:4], [
        "                           a              b",
        "  1 fork per   219 (210-230)  219 (210-230)",
        "   connection",
        "  socat        219 (210-230)  219 (210-230)",
    ])


def test_or_split_and_each_part_begins_with_the_keys():
    rows = [[f"server {n}", f"{n}", *[RANGE] * 5] for n in range(8)]
    lines = fits(80, ["", "clients", *"abcde"], rows, keys=2)
    tap.equal(lines.count(""), 1)
    tap.equal([line.split()[:3] for line in lines if "server 7" in line],
              [["server", "7", "7"]] * 2)


def test_tables_of_every_size_fit():
    for wide in (1, 4, 9):
        for number in (1, 3, 12):
            rows = [[f"{n} a server of a kind", *["≈ 1.01 (0.98-1.03)"] * wide]
                    for n in range(number)]
            for width in (60, 80, 120, 200):
                fits(width, ["", *(f"with {n} clients" for n in range(wide))], rows)


def test_titles_among_the_rows_stay_in_their_place():
    nothing, values = [""] * 6, [RANGE] * 6
    rows = [["CPU", *nothing], ["fork", *values], ["latency", *nothing], ["xinetd", *values]]
    lines = fits(80, ["", *"abcdef"], rows)
    tap.equal([line.split()[0] for line in lines[:5]], ["a", "CPU", "fork", "latency", "xinetd"])


def test_a_path_is_said_from_here():
    tap.equal(terminal.shown(pathlib.Path.cwd() / "build/x.tsv"), "build/x.tsv")
    tap.equal(terminal.shown("/elsewhere/x.tsv"), "/elsewhere/x.tsv")


tap.run(vars())
