"""What the measurements of single chapters share: programs that print what something took, and
bars.
"""
import os
import subprocess

import gnuplot
import paths
import program
import results
import stats
import textplot


def output(path, *arguments, cpus=None):
    """Runs a program, on these CPUs only, and gives what it prints."""
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    result = subprocess.run([path, *arguments], preexec_fn=pin,
                            stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        raise program.Failure(f"{path.name} ended with status {result.returncode}")
    return result.stdout


def placements():
    """Where two processes may run: on one CPU they take turns; of several the scheduler chooses."""
    cpus = sorted(os.sched_getaffinity(0))
    yield "one CPU", {cpus[0]}
    if len(cpus) > 1:
        yield f"any of {len(cpus)} CPUs", set(cpus)


def draw(name, script, title, columns, rows, **settings):
    """Keeps a table and draws it."""
    data = paths.RESULTS / f"{name}.tsv"
    results.write_table(data, columns, rows)
    gnuplot.draw(script, data, paths.RESULTS / name, title=title, **settings)


def bars(name, title, values, places):
    """Bars for each thing that was measured, at each place; and a table of median and range."""
    things = list(dict.fromkeys(thing for thing, _ in values))
    parts = (("median", stats.median), ("low", min), ("high", max))
    draw(name, "bars.gp", title,
         ["what", *(f"{place} {part}" for place in places for part, _ in parts)],
         ([f'"{thing}"', *(f"{of(values[thing, place]):.2f}" for place in places for _, of in parts)]
          for thing in things), places="|".join(places))
    medians = {thing: {place: stats.median(values[thing, place]) for place in places}
               for thing in things}
    print(textplot.bars(f"{title}, µs", medians, "{:.1f}"))
    results.show_table(
        name, f"{title}: µs, median (range)", ["", *places],
        ([thing, *(stats.spread(values[thing, place], "{:.1f}") for place in places)]
         for thing in things))
