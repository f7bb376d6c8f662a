#!/usr/bin/env python3
"""time-chapter.py NN: the measurement that belongs to chapter NN, and its plot.

What is measured, and how, stands in the chapter's show.py: measure.
"""
import sys

import chapters
import paths
import program
import results
import terminal


def main():
    number, = sys.argv[1:] or sys.exit("usage: time-chapter.py NN")
    name = f"chapter-{number}"
    measure = chapters.said(number, "measure", "measurement")
    results.begin()
    measure(name)
    if (paths.RESULTS / f"{name}.svg").exists():  # else it has named its own
        print(f"\npicture:   {terminal.shown(paths.RESULTS)}/{name}.svg (and .png)")


if __name__ == "__main__":
    program.main(main)
