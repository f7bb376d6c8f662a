#!/usr/bin/env python3
"""What a page becomes in the book (common/book/pages.py)."""
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/book"))
import pages  # noqa: E402

FOUR, FDPASS = "chapters/04-prefork-select/README.md", "chapters/03-descriptor-passing/fdpass.c"


def book(kind="html"):
    return pages.Book(kind, pathlib.Path(tempfile.gettempdir()) / "nothing-is-written-here", None, None)


def test_a_link_leads_to_the_page_that_is_made_of_its_text():
    made = book()
    for link, there in (("../glossary.md#backlog", "../glossary.md#backlog"), ("../03-descriptor-passing/", "../03-descriptor-passing/index.md"),
                        ("../../README.md", "../../index.md"), ("#exercises", "index.md#exercises"),
                        ("../../slides/04-prefork-select.md", "../../slides/04-prefork-select.md"),
                        ("pool.c", "../../source/chapters/04-prefork-select/pool-c.md")):
        tap.equal(made.links(FOUR, f"see [this]({link})."), f"see [this]({there}).")


def test_a_link_to_what_is_not_in_the_book_is_its_words():
    for kind, link in (("html", "../../Makefile"), ("html", "no-such.md"), ("epub", "../../slides/04-prefork-select.md"),
                       ("pdf", "../../tests/README.md")):
        tap.equal(book(kind).links(FOUR, f"see [that, `x`]({link})."), "see [that, `x`].".replace("[", "").replace("]", ""))


def test_links_elsewhere_and_code_stay():
    text = "[a](https://example.org/x) `[b](pool.c)` [c][d]"
    tap.equal(book().links(FOUR, text), text)


def test_a_claim_that_can_be_tried_leads_to_its_experiment():
    made = book().comments(FOUR, "It moves <!-- fact: one-offset-for-both -->. Then <!-- source: x --> not.")
    tap.equal(made, 'It moves<a class="fact" href="../facts.html#fact-one-offset-for-both" '
                    'title="make fact-one-offset-for-both">tried</a>. Then not.')
    tap.expect_in('href="#fact-x-y"', book("pdf").comments(FOUR, "a <!-- fact: x-y -->"))


def test_the_first_use_of_a_term_leads_to_the_glossary():
    linked = set()
    text = "# Backlog\n\n`backlog` and [its backlog](pool.c): the backlogs, then the backlog.\n"
    made = book().words(FOUR, text, linked)
    tap.equal(made.count("glossary.md#backlog"), 1)
    tap.expect_in("the [backlogs](../glossary.md#backlog), then the backlog.", made)
    tap.expect("backlog" in linked, str(linked))
    tap.equal(book().words(FOUR, "a backlog", {"backlog"}), "a backlog")


def test_an_excerpt_says_where_it_stands():
    made = book()
    text = f"<!-- excerpt {FDPASS} write_fd -->\n```c\nint write_fd(...)\n```"
    block = made.fence(FOUR, pages.FENCE.match(text))
    first = int(re.search(r"line (\d+) to \d+</a>", block)[1])
    line = (tap.ROOT / FDPASS).read_text().splitlines()[first - 1]
    tap.expect("write_fd" in line or line.startswith("/*"), line)
    tap.expect_in(f'href="../../source/chapters/03-descriptor-passing/fdpass-c.html#f1-{first}"', block)


def test_an_excerpt_of_what_is_not_there_is_refused_in_a_line():
    text = f"<!-- excerpt {FDPASS} no_such -->\n```c\nx\n```"
    said = tap.raises(pages.Mistake, book().fence, FOUR, pages.FENCE.match(text))
    tap.equal(said, f"{FOUR}: {FDPASS}: no_such is defined 0 times")


def test_a_picture_without_words_is_refused_in_a_line():
    said = tap.raises(pages.Mistake, book().fence, FOUR, pages.FENCE.match("```mermaid\nflowchart LR\n    a --> b\n```"))
    tap.equal(said, f"{FOUR}: a picture in Mermaid has no accDescr, for those who do not see it")


def test_a_console_has_no_name():
    made = book().fence(FOUR, pages.FENCE.match("```console server\n$ ls\n```"))
    tap.equal(made, "```console\n$ ls\n```")


def test_hints_are_folded_one_by_one():
    made = book().exercise(pages.course.find("04-1"))
    tap.expect(made.count("<summary>Hint ") >= 2, made)
    tap.expect_in("<summary>The solution</summary>", made)
    tap.expect_in("(../../solutions/04-1-maxfd/index.md)", made)


def test_on_paper_the_hints_stand_with_the_solution():
    task = pages.course.find("04-1")
    tap.expect(task.hints[0] not in book("pdf").exercise(task), "a hint where nobody has asked for it")
    tap.expect_in(task.hints[0], book("pdf").solution(task))


def test_a_solution_shows_what_changed():
    made = book().solution(pages.course.find("04-1"))
    tap.expect_in("--- exercises/04-1-maxfd/server.c", made)
    tap.expect(re.search(r"^\+[^+]", made, re.M), made)


tap.run(vars())
