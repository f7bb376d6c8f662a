#!/usr/bin/env python3
"""Test of common/text/excerpt.py: what is renewed, and what is told and how; comments on slides.

In a tree of its own, with a source, a page and a deck.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

FOLDER = tempfile.TemporaryDirectory(prefix="excerpt-test-")
TREE = pathlib.Path(FOLDER.name)
SLIDE = 84  # columns
SOURCE = """\
/* What is added up. */
struct sum {
    int total;
};

/* Adds one,
 * and says so. */
static int add(struct sum *sum)
{
    first();
        second();
    return ++sum->total;
}

int twice(int);

int twice(int number)
{
    return 2 * number;
}

int twice(int number)
{
    first();
}

int endless(void)
{
"""


def page(excerpt, code="old\n", language="c"):
    block = f"<!-- excerpt {excerpt} -->\n```{language}\n{code}```\n"
    return f"# A page\n\nSome words.\n\n{block}\nMore words.\n"


def excerpt(*arguments, status=0):
    """Runs excerpt.py in the tree. Gives what it says."""
    ran = subprocess.run([TREE / "common/text/excerpt.py", *arguments], cwd=TREE,
                         capture_output=True, text=True, check=False)
    tap.equal(ran.returncode, status)
    return ran.stdout + ran.stderr


def renewed(text, name="page.md"):
    """A text after it was renewed, which a check then finds right."""
    path = TREE / name
    path.write_text(text)
    tap.equal(excerpt(name), f"renewed {name}\n")
    tap.equal(excerpt("--check", name), "")
    tap.equal(excerpt(name), "")  # it is as it was
    return path.read_text()


def refused(text, said):
    """A text with this mistake is told in a line, with the line where it is, and left as it was."""
    path = TREE / "page.md"
    path.write_text(text)
    for check in [], ["--check"]:
        tap.equal(excerpt(*check, "page.md", status=1), f"page.md:{said}\n")
        tap.equal(path.read_text(), text)


def test_a_definition_is_shown_with_the_comment_above_it():
    lines = SOURCE.splitlines(keepends=True)
    for what, code in {"sum": lines[:4], "add": lines[5:13]}.items():
        tap.equal(renewed(page(f"sum.c {what}")), page(f"sum.c {what}", "".join(code)))


def test_lines_are_shown_from_one_to_another_without_their_indent():
    what = 'sum.c "    first();" to "return"'
    (TREE / "sum.c").write_text(SOURCE.partition("int twice")[0])
    tap.equal(renewed(page(what)), page(what, "first();\n    second();\nreturn ++sum->total;\n"))
    (TREE / "sum.c").write_text(SOURCE)


def test_what_changes_in_the_source_is_found_and_renewed():
    before = renewed(page("sum.c add"))
    (TREE / "sum.c").write_text(SOURCE.replace("++sum->total", "sum->total += 1"))
    tap.equal(excerpt("--check", "page.md", status=1),
              "page.md:13: an excerpt differs from its source: make texts\n")
    tap.equal((TREE / "page.md").read_text(), before)
    tap.equal(excerpt("page.md"), "renewed page.md\n")
    tap.equal((TREE / "page.md").read_text(), before.replace("++sum->total", "sum->total += 1"))
    (TREE / "sum.c").write_text(SOURCE)


def test_one_text_with_a_mistake_does_not_hide_those_behind_it():
    (TREE / "wrong.md").write_text(page("sum.c nowhere"))
    (TREE / "page.md").write_text(page("sum.c add"))
    tap.equal(excerpt("wrong.md", "page.md", status=1).splitlines(),
              ["renewed page.md", "wrong.md:5: excerpt sum.c nowhere: nowhere is defined 0 times"])


def test_an_excerpt_of_what_is_not_there_is_refused_in_a_line():
    for what, why in {"gone.c add": "there is no such file",
                      "sum.c nowhere": "nowhere is defined 0 times",
                      "sum.c twice": "twice is defined 2 times",
                      "sum.c endless": "endless has no end",
                      'sum.c "third" to "return"': '"third" is in 0 lines, not in one',
                      'sum.c "first" to "return"': '"first" is in 2 lines, not in one',
                      'sum.c "second" to "third"': '"third" does not follow "second"'}.items():
        refused(page("sum.c sum") + page(what), f"15: excerpt {what}: {why}")


def test_code_without_a_source_says_so():
    for below in "No block.\n", page("sum.c add"):
        refused("<!-- excerpt sum.c add -->\n\n" + below,
                "1: an excerpt has no fenced block below it")
    refused("```c\nint n;\n```\n", '1: the code that begins with "int n;" is no excerpt')
    refused("Words.\n\n```c\nint n;\n```\n", '3: the code that begins with "int n;" is no excerpt')
    (TREE / "page.md").write_text("<!-- sketch -->\n```c\nint n;\n```\n\n```console\n$ true\n```\n")
    tap.equal(excerpt("--check", "page.md"), "")


def test_the_language_of_a_block_is_that_of_the_source():
    for name, language in {"a.py": "python", "a.sh": "sh", "a.mk": "make", "a.gp": ""}.items():
        (TREE / name).write_text("first line\nlast line\n")
        text = renewed(page(f'{name} "first" to "last"'))
        tap.equal(text, page(f'{name} "first" to "last"', "first line\nlast line\n", language))


def test_on_a_slide_a_comment_is_where_it_has_room():
    (TREE / "slides").mkdir()
    long = "what is said here of the call beside it would be wider than a slide is"
    fits = "x" * (SLIDE - len("begin(); /*  */"))
    (TREE / "wide.c").write_text(f"begin(); /* {fits} */\nagain(); /* {fits}x */\n"
                                 f"    call(with, some, arguments); /* {long} */\nend();\n")
    what = 'wide.c "begin" to "end"'
    code = (f"begin(); /* {fits} */\n/* {fits}x */\nagain();\n"
            f"    /* {long} */\n    call(with, some, arguments);\nend();\n")
    tap.equal(renewed(page(what), "slides/deck.md"), page(what, code))
    tap.equal(renewed(page(what)), page(what, (TREE / "wide.c").read_text()))  # a page has more


def test_on_a_slide_a_long_comment_is_wrapped_into_lines_that_are_about_as_long():
    words = " ".join(["word"] * 40)
    for name, source in {"wide.c": f"    /* {words} */\n    call();\n",
                         "wide.py": f"    # {words}\n    call()\n"}.items():
        (TREE / name).write_text(source)
        what = f'{name} "word" to "call"'
        shown = renewed(page(what), "slides/deck.md").split("```")[1].splitlines()[1:-1]
        tap.equal(sum(line.count("word") for line in shown), 40)
        assert len(shown) == 3 and max(map(len, shown)) - min(map(len, shown)) <= 10, shown
        assert max(map(len, shown)) <= SLIDE, shown


if __name__ == "__main__":
    (TREE / "common/text").mkdir(parents=True)
    shutil.copy(tap.ROOT / "common/text/excerpt.py", TREE / "common/text")
    (TREE / "sum.c").write_text(SOURCE)
    tap.run(vars())
