#!/usr/bin/env python3
"""Measures everything, and puts the plots where the READMEs show them."""
import shutil
import subprocess

import chapters
import paths
import plots
import program


def measure(script, *arguments):
    result = subprocess.run([paths.ROOT / "common/report" / script, *arguments], check=False)
    if result.returncode != 0:
        raise program.Failure(f"{script} ended with status {result.returncode}")


def take(name, to):
    shutil.copyfile(paths.RESULTS / f"{name}.svg", to)


def main():
    top = paths.ROOT / "chapters"
    measure("compare.py")
    for plot in plots.called("compare", plots.LATENCY):
        take(plot.name, top / f"{plot.name}.svg")
    measure("timeline.py")
    take("timeline", top / "timeline.svg")
    for number in chapters.having("measure"):
        measure("time-chapter.py", number)
        timing, *others = plots.called(f"chapter-{number}", chapters.said(number, "PLOTS", "plot"))
        take(timing.name, chapters.room(number) / "timing.svg")
        for plot in others:  # those that its README shows, too
            shown = chapters.room(number) / f"{plot.name.removeprefix(f'chapter-{number}-')}.svg"
            if shown.exists():
                take(plot.name, shown)
    for shown in sorted(top.glob("[0-9]*-*/growth-*.svg")):
        measure("growth.py", shown.stem.removeprefix("growth-"))
        take(shown.stem, shown)


if __name__ == "__main__":
    program.main(main)
