#!/usr/bin/env python3
"""Compares the chapters' servers that stand beside each other, and draws what came out.

compare.py [BASE.tsv]. With BASE, the table of an earlier run (mine/results/compare.tsv, or one of
mine/results/earlier, which later runs replaced), it also lays that run and this one side by side.
"""
import pathlib
import sys

import chapters
import program
import registry
import results
import stats
from comparison import compare, values


# ---- with an earlier run ----


def read_runs(path):
    """The rows of a table that compare.py wrote, and the comments above it."""
    try:
        lines = pathlib.Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise program.Failure(f"{path}: {getattr(error, 'strerror', None) or 'not a text file'}") from None
    comments = [line[2:] for line in lines if line.startswith("# ")]
    header, *body = [line.split("\t") for line in lines if not line.startswith("#")] or [[]]
    missing = [column for column in ("round", "server", "clients", "p50_us", "server_us") if column not in header]
    if missing:
        raise program.Failure(f"{path}: no table of all runs as make compare writes it: it has no column {missing[0]}")
    rows = []
    for number, line in enumerate(body, 1):
        try:
            row = {key: text if key == "server" else float(text) for key, text in zip(header, line)}
            rows.append(row | {"clients": int(row["clients"]), "p50_us": row["p50_us"], "server_us": row["server_us"]})
        except (ValueError, KeyError):
            raise program.Failure(f"{path}: no table of all runs as make compare writes it: row {number}") from None
    if not rows:
        raise program.Failure(f"{path}: no table of all runs as make compare writes it: it has no rows")
    return rows, comments


def beside(old, new):
    """Ratio of the medians, and whether two lists of values differ by more than their spread.

    The two runs were not in turn: rounds cannot be compared one by one, and a machine that has become
    slower looks like a server that has. So a difference is claimed only when the ranges do not overlap,
    which for five rounds each happens by chance in one of 126 comparisons.
    """
    apart = min(new) > max(old) or max(new) < min(old)
    return stats.median(new) / stats.median(old), apart


def show_beside(old_rows, new_rows, base, comments):
    table = []
    for what, column in (("CPU", "server_us"), ("p50", "p50_us")):
        for server in dict.fromkeys(row["server"] for row in new_rows):
            for count in dict.fromkeys(row["clients"] for row in new_rows):
                old, new = (values(rows, server, count, column) for rows in (old_rows, new_rows))
                if old:
                    ratio, apart = beside(old, new)
                    table.append([f"{what} {registry.label(server)}", count, stats.spread(old), stats.spread(new),
                                  f"{ratio:.2f}", "beyond the spread" if apart else "within the spread"])
    if not table:
        raise program.Failure(f"{base}: none of its servers and numbers of clients has been measured now")
    notes = ["The two runs were not in turn. If designs that nobody changed differ as well, it is the machine that does."]
    kinds = ("machine:", "frequency governor:", "kernel:")
    notes += [f"It was another machine, or another kernel: {line}" for line in comments
              if line.startswith(kinds) and line not in results.machine()]
    results.show_table("compare-base", f"Now against {base}, in µs: median (range)",
                       ["", "clients", "then", "now", "now / then", "difference"], table, notes,
                       keys=2)


def main():
    if len(sys.argv) > 2:
        sys.exit(f"usage: {pathlib.Path(sys.argv[0]).name} [BASE.tsv]")
    base = sys.argv[1] if len(sys.argv) == 2 else ""
    old = read_runs(base) if base else None  # before it is measured: perhaps it is what will be overwritten
    results.begin()

    def with_old(rows):
        if old:
            show_beside(old[0], rows, base, old[1])

    compare("compare", chapters.compared(), [1, 8, 32, 128], 5, 2, also=with_old)


if __name__ == "__main__":
    program.main(main)
