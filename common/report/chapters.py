"""The chapters' rooms, and what each says of itself.

In chapters/NN-name/show.py stands what this chapter shows. What is missing there the chapter does
not have:

    TITLE, QUESTION  head its section on the page of results
    PLOTS            the plots in it, as plots.Plot, by how their names go on behind "chapter-NN-";
                     the first one is the timing.svg of the chapter
    measure(name)    its measurement, make time-NN: what it writes is called NAME, which is
                     "chapter-NN", or begins with that and a hyphen
    break_it()       its failure, make break-NN
    ROLES            who is who in traces, plots and tables of descriptors: a name for the first
                     process, and one for the others; by default "master" and "worker {}". Behind
                     these, the names of children that call themselves so (PR_SET_NAME in prctl(2)),
                     and serve nobody
    COMPARED         True: its own server stands beside those of the other chapters, in make
                     compare, peers, cost, growth and knee
    BESIDE           the names of others of its servers, which stand there too in make peers and cost
    FLOORS           and what is no server, but costs as little as one could: a label and what starts
                     it, by name

and of a chapter without a server:

    look()           its tables of descriptors, make fds-NN
    TRACED           what make trace-NN runs: a program of its own, and arguments

It may import whatever lies in common/report and common/lab.
"""
import collections
import functools
import importlib.util
import sys

import paths
import program
import registry


# Who is who: what the first process is called, and the others, by str.format with the number of
# one; but those of them that call themselves by a name in `own` are called that.
Roles = collections.namedtuple("Roles", "first other own")


def rooms():
    """All chapters' folders, by number: "04"."""
    folders = sorted((paths.ROOT / "chapters").glob("[0-9]*-*"))
    return {folder.name.partition("-")[0]: folder for folder in folders if folder.is_dir()}


def room(number):
    """The folder of a chapter."""
    if number not in rooms():
        raise program.Failure(f"there is no chapter \"{number}\"; say one of: {' '.join(rooms())}")
    return rooms()[number]


@functools.cache
def show(number):
    """The module that is the chapter's show.py."""
    path = room(number) / "show.py"
    if not path.exists():
        where = path.relative_to(paths.ROOT)
        raise program.Failure(f"chapter {number} shows nothing: it has no {where}")
    for folder in ("common/report", "common/lab"):
        if str(paths.ROOT / folder) not in sys.path:
            sys.path.append(str(paths.ROOT / folder))
    spec = importlib.util.spec_from_file_location(f"show_{number}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(number, name, what):
    """What a chapter's show.py calls NAME; that is WHAT, for the message that it has none."""
    if not hasattr(show(number), name):
        where = room(number).relative_to(paths.ROOT) / "show.py"
        raise program.Failure(f"chapter {number} has no {what}: there is no {name} in {where}")
    return getattr(show(number), name)


def servers(number):
    """The names of its servers."""
    return registry.of_chapter(room(number))


def roles(number):
    """Who is who among the processes that a chapter starts."""
    first, other, *own = getattr(show(number), "ROLES", ("master", "worker {}"))
    return Roles(first, other, tuple(own))


def having(name):
    """The numbers of the chapters of whose show.py this is a part, and is not False."""
    return [number for number, folder in rooms().items()
            if (folder / "show.py").exists() and getattr(show(number), name, False)]


def compared():
    """The servers that stand beside each other."""
    return [servers(number)[0] for number in having("COMPARED")]


def beside():
    """Further servers of the chapters, for when all designs stand beside each other."""
    return [name for number in having("BESIDE") for name in show(number).BESIDE]


def floors():
    """What is no server, and is there to be measured: its label and its program, by name."""
    return {name: floor for number in having("FLOORS") for name, floor in show(number).FLOORS.items()}
