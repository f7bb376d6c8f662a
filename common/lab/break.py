#!/usr/bin/env python3
"""break.py NN: provokes the failure that chapter NN speaks of, shows it, and cleans up.

What is provoked, and how, stands in the chapter's show.py: break_it.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "report"))
import chapters
import program


def main():
    number, = sys.argv[1:] or sys.exit("usage: break.py NN")
    chapters.said(number, "break_it", "failure to show")()


if __name__ == "__main__":
    program.main(main)
