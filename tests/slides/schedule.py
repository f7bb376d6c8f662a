#!/usr/bin/env python3
"""The tables that schedule.py makes: they add up, a plan that does not is refused, and one that is
stale is found; and what the chapters' objectives name is there. Decks and exercises are made up.
"""
import contextlib
import io
import os
import pathlib
import re
import sys
import tempfile
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("slides", "tests")]
sys.dont_write_bytecode = True
import schedule  # noqa: E402
import tap  # noqa: E402

LIST = """01-1-first
    title    First
    points   4
    minutes  20
01-2-second
    title    Second
    points   4
    minutes  25
"""
CHAPTER = """# {0} Chapter

**What you will be able to do**

| | what checks it |
| --- | --- |
| open {0} | 01-1 |
| read {0} | *1.1* |
| close {0} | `make test` |
"""


def deck(title, question, *minutes):
    notes = [f"\n<!--\nMinutes: {took}\n-->\n" for took in minutes]
    return f"---\ntitle: {title}\n---\n\n# Deck\n\n{question}\n" + "\n---\n".join(notes)


def write(folder):
    """Decks of 2 + 3 + 5.5 and of 30 minutes, two exercises, two chapters."""
    for name, text in {
            "slides/00-first.md": deck("First", "What?", 2, 3, 5.5),
            "slides/01-second.md": deck("1 Second", "Why?", 30),
            "slides/README.md": "", "slides/syllabus.md": "", "exercises/list": LIST,
            "chapters/01-one/README.md": CHAPTER.format("one"),
            "chapters/02-two/README.md": CHAPTER.format("two")}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@contextlib.contextmanager
def made_up():
    """A course in a folder of its own; gives the folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write(folder)
        exercises = schedule.course.read_list(folder / "exercises/list")
        pages = folder / "slides/README.md", folder / "slides/syllabus.md"
        with mock.patch.multiple(schedule, HERE=folder / "slides", TOP=folder, PAGES=pages), \
                mock.patch.object(schedule.course, "read_list", lambda: exercises):
            yield folder


def table(plan):
    """The rows that are made below a plan, without head."""
    return schedule.renewed(plan).removeprefix(plan).splitlines()[2:]


def ran(*arguments):
    """The status of the command, and what it says."""
    said = io.StringIO()
    with mock.patch.object(sys, "argv", ["schedule.py", *arguments]), \
            contextlib.redirect_stdout(said):
        try:
            schedule.main()
        except SystemExit as end:
            return 1, str(end)
    return 0, said.getvalue()


def test_a_day_adds_up_in_steps_of_five_minutes():
    with made_up():
        tap.equal(table("<!-- plan day 9:50\nshow 0:1-2 ; talk\npause 15 ; break\n"
                        "lab 01-1 (01-2)\nshow 0:3 1\n-->\n"),
                  ["| 9:50 | 9:55 | Deck [0](00-first.md) (slides 1 to 2); talk |",
                   "| 9:55 | 10:10 | break |",
                   "| 10:10 | 10:30 | Lab: 01-1, (01-2) |",
                   "| 10:30 | 11:10 | Deck [0](00-first.md) (slides 3), deck [1](01-second.md) |"])


def test_lectures_add_up_and_what_is_in_brackets_or_read_takes_none():
    with made_up():
        tap.equal(table("<!-- plan lectures 50 50\n0 1 | 01-1 01-2 | 1\n"
                        "; talks | 01-1 (01-2) | 1 01-2\n-->\n"),
                  ["| 1 | Deck [0](00-first.md), deck [1](01-second.md) | 41 | 01-1, 01-2 | 45 "
                   "| chapter 1 |  |",
                   "| 2 | talks |  | 01-1, (01-2) | 20 | chapter 1, 01-2 | 25 |"])


def test_hours_are_those_of_decks_labs_and_the_plan():
    with made_up() as folder:
        (folder / "slides/README.md").write_text(
            "<!-- plan lectures 50 40\n0 | 01-1 | 1\n-->\n"
            "<!-- plan lectures 50 60\n0 | 01-1 | 01-2\n1 | 01-2 | 1 01-1 (01-2)\n-->\n")
        tap.equal(table("<!-- plan hours 50 60\ndecks ; {} decks\nlabs ; {} labs\n"
                        "home ; {} times\n3 ; {} chapters\n-->\n"),
                  ["| two decks | ½ |", "| two labs | 2 |", "| two times | 1 |",
                   "| two chapters | 3 |", "| together, without a project | 6½ |",
                   "| all 2 exercises, in labs and at home | 1 |"])


def test_objectives_are_those_of_the_chapters():
    with made_up():
        tap.equal(table("<!-- plan objectives\n-->\n"),
                  ["| [one Chapter](../chapters/01-one/) | open one | 01-1 |",
                   "| | read one | *1.1* |", "| | close one | `make test` |",
                   "| [two Chapter](../chapters/02-two/) | open two | 01-1 |",
                   "| | read two | *1.1* |", "| | close two | `make test` |"])


def test_decks_have_their_questions_and_minutes():
    with made_up():
        tap.equal(table("<!-- plan decks\n-->\n"),
                  ["| [0 First](00-first.md) | What? | 3 | 11 |",
                   "| [1 Second](01-second.md) | Why? | 1 | 30 |"])


REFUSED = [
    ("lectures 45 50\n0 1 | 01-1 | 1", "lecture 1 shows 40.5 minutes of 45"),
    ("lectures 50 40\n0 | 01-1 01-2 | 1", "its lab has 45 of 40"),
    ("lectures 50 50\n0 | 01-1", "has 2 parts, not three"),
    ("lectures 50 50\n0:1-2 0:2 | 01-1 | 1", "has been shown already"),
    ("lectures 50 50\n0:4 | 01-1 | 1", "there is no slide 4"),
    ("lectures 50 50\n7 | 01-1 | 1", "7: there is no such deck"),
    ("lectures 50 50\n0 | 01-9 | 1", "01-9: there is no such exercise"),
    ("day 9:00\nsing 0", '"sing 0" is neither show nor lab nor pause'),
    ("hours 50 50\ndecks ; decks", "README.md has no plan of lectures 50 50"),
    ("week 1\n", "there is no plan of week"),
]


def test_a_plan_that_does_not_add_up_is_refused():
    for plan, wanted in REFUSED:
        with made_up():
            said = tap.raises(schedule.Mistake, schedule.renewed, f"<!-- plan {plan}\n-->\n")
        tap.expect_in(wanted, said)
    with made_up() as folder:
        (folder / "slides/README.md").write_text("<!-- plan lectures 50 50\n0 | 01-1 | 1\n-->\n")
        tap.expect_in("begins neither with decks", tap.raises(
            schedule.Mistake, schedule.renewed, "<!-- plan hours 50 50\nrest ; sleep\n-->\n"))


# What is replaced in a file, by what, and what is said of a plan that is good.
DECK, PAGE = "slides/01-second.md", "chapters/02-two/README.md"
SPOILT = [
    (DECK, "Minutes: 30", "Minutes: long", "says 0 times how many minutes it takes"),
    (DECK, "Why?", "Why?\n\n| 01-1 | first | 10 |\n", "01-1 takes 20 minutes, not 10"),
    (PAGE, "| read two | *1.1* |\n", "", "no table of three to five objectives"),
    (PAGE, "*1.1*", "", "no table of three to five objectives"),
    (PAGE, "*1.1*", "[1.1](quiz)", "a link among the objectives"),
]


def test_what_a_plan_is_computed_of_is_looked_at():
    for name, before, after, wanted in SPOILT:
        with made_up() as folder:
            path = folder / name
            tap.expect(before in path.read_text(), f"nothing is replaced: {before}")
            path.write_text(path.read_text().replace(before, after))
            said = tap.raises(schedule.Mistake, schedule.renewed, "<!-- plan objectives\n-->\n")
        tap.expect_in(wanted, said)


def test_a_stale_table_is_found_and_renewed_once():
    with made_up() as folder:
        page = folder / "slides/syllabus.md"
        page.write_text("Before\n\n<!-- plan decks\n-->\n\nBehind\n")
        tap.equal(ran("--check"), (1, "slides/syllabus.md: a table differs from what it is "
                                      "computed of: make texts"))
        tap.expect("| 30 |" not in page.read_text(), "--check has written")
        tap.equal(ran(), (0, "renewed slides/syllabus.md\n"))
        tap.equal((ran("--check"), ran()), ((0, ""), (0, "")))
        tap.expect(page.read_text().endswith("| 30 |\n\nBehind\n"), page.read_text())
        second = folder / "slides/01-second.md"
        second.write_text(second.read_text().replace("Minutes: 30", "Minutes: 31"))
        tap.equal(ran("--check")[0], 1)
        page.write_text("<!-- plan week\n-->\n")
        tap.equal(ran("--check"), (1, "schedule: there is no plan of week"))
        tap.equal(ran("--chekc"), (1, "usage: schedule.py [--check]"))


def test_the_objectives_of_the_course_name_what_is_there():
    exercises = {exercise.number for exercise in schedule.course.read_list()}
    for number, page in schedule.chapters().items():
        for aim, checked in schedule.objectives(page):
            named = re.findall(r"\b\d\d-\d+\b", checked)
            asked = re.findall(r"\*(\d)\.\d+\*", checked)
            tap.expect(named or asked or "`make " in checked, f"nothing checks: {aim}")
            tap.equal([name for name in named if name not in exercises or name[1] != number], [])
            tap.equal(set(asked) - {number}, set())


if __name__ == "__main__":
    os.chdir(ROOT)
    tap.run(vars())
