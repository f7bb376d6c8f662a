#!/usr/bin/env python3
"""Test of common/book/translate.py: what is translated, what is not, and what is stale."""
import contextlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

LOCALE = "common/book/locale"
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
PAGE = """\
# One

English · [deutsch](README.de.md)

A paragraph of
two lines <!-- fact: some-fact -->, which
leads to [two](../two/#the-end), to [what is below](#a-list-a-table)
and to [three](../three/README.md).

```mermaid
flowchart LR
    a --> b
```

## A list, a table

- an item
  that goes on
- another: `code`

1. first
2. second

| head | |
| --- | --- |
| row | `a` |
| another | `b` |
| | |
| --- | --- |
| a table | behind another |

<!-- excerpt two/README.md "a" to "b" -->
```c
int a; /* not translated */
```

And so:

    make it

```console
$ echo 1
1
```

See [a page][page].

[page]: https://example.org/a
[other]: https://example.org/b
"""
UNWRAPPED = re.sub("(of|which|table[)]|an item)\n *(?=two|leads|and|that)", r"\1 ", PAGE)


@contextlib.contextmanager
def tree():
    """A tree with two pages that have catalogues in German, still empty, and one that has none."""
    with tempfile.TemporaryDirectory(prefix="translate-test-") as name:
        top = pathlib.Path(name)
        write(top / "one/README.md", PAGE)
        write(top / "two/README.md", "# Two\n\n## The end\n")
        write(top / "three/README.md", "# Three\n")
        (top / "common/book").mkdir(parents=True)
        shutil.copy(tap.ROOT / "common/book/translate.py", top / "common/book")
        for page in "one", "two":
            translate(top, "de", f"{top}/{page}/README.md")
        yield top


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def translate(top, *arguments, status=0):
    """Runs it; gives what it printed."""
    ran = subprocess.run([sys.executable, top / "common/book/translate.py", *arguments], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    tap.expect(ran.returncode == status, f"status {ran.returncode}: {ran.stdout}")
    return ran.stdout


def replace(path, old, new):
    text = path.read_text()
    tap.expect(text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}")
    path.write_text(text.replace(old, new))


def enter(top, page, text, translation):
    """Translates an entry of a catalogue, which is one line."""
    entry = f'msgid "{text}"\nmsgstr "'
    replace(top / LOCALE / f"de/{page}/README.po", f'{entry}"', f'{entry}{translation}"')


def as_it_is(top):
    """Translates all else by the same words."""
    for path in (top / LOCALE).rglob("*.po"):
        text = re.sub(r'^msgid ((?:".*"\n)+)msgstr ""\n(?!")', r"msgid \1msgstr \1",
                      path.read_text(), flags=re.M)
        path.write_text(text)


def needs_po4a(test):
    """Who reads the course translates nothing, and has no po4a; whoever looks after it has."""
    def wrapped():
        return test() if shutil.which("po4a") else "there is no po4a: common/setup.sh po4a"
    return wrapped


@needs_po4a
def test_without_a_translation_it_is_the_page_itself_unwrapped():
    with tree() as top:
        tap.equal((top / "one/README.de.md").read_text(),
                  UNWRAPPED.replace("two/#", "two/README.de.md#"))


@needs_po4a
def test_what_is_code_stands_in_no_catalogue():
    with tree() as top:
        catalogue = (top / LOCALE / "de/one/README.po").read_text()
        for text in "int a;", "make it", "echo 1", "excerpt", "---", "example.org":
            tap.expect(text not in catalogue, text)
        for text in "an item that goes on", "| row | `a` |", "a --> b", "A list, a table":
            tap.expect(text in catalogue, text)


@needs_po4a
def test_a_change_of_code_makes_nothing_stale():
    with tree() as top:
        enter(top, "one", "And so:\\n", "Also:\\n")
        translate(top)
        before = (top / LOCALE / "de/one/README.po").read_text()
        replace(top / "one/README.md", "$ echo 1\n1\n", "$ echo 2\n2\n")
        tap.expect_in("one/README.de.md: not what README.md and its catalogue make: make texts",
                      translate(top, "--check", status=1))
        translate(top)
        tap.equal((top / LOCALE / "de/one/README.po").read_text(), before)
        made = (top / "one/README.de.md").read_text()
        tap.expect("Also:\n\n    make it\n\n```console\n$ echo 2\n2\n```\n" in made, made)


@needs_po4a
def test_links_lead_to_what_is_translated_and_to_its_headings():
    with tree() as top:
        enter(top, "two", "The end", "Der Schluss")
        enter(top, "one", "A list, a table", "Liste, Tabelle")
        enter(top, "one", "English · [deutsch](README.de.md)\\n",
              "[English](README.md) · deutsch\\n")
        translate(top)
        made = (top / "one/README.de.md").read_text()
        for text in ("[two](../two/README.de.md#der-schluss)", "[what is below](#liste-tabelle)",
                     "[three](../three/README.md)", "[English](README.md)"):
            tap.expect(text in made, f"no {text} in {made}")


@needs_po4a
def test_a_paragraph_that_is_wrapped_otherwise_is_the_same():
    with tree() as top:
        replace(top / "one/README.md", "paragraph of\ntwo lines", "paragraph\nof two lines")
        for line in translate(top, "--check").splitlines():
            tap.expect("is new or has changed" in line, line)  # as everything is here
        translate(top)
        catalogue = (top / LOCALE / "de/one/README.po").read_text()
        tap.expect("#~" not in catalogue and "fuzzy" not in catalogue, catalogue)


@needs_po4a
def test_an_entry_that_lost_its_code_a_link_or_a_comment_is_named():
    with tree() as top:
        enter(top, "one", "another: `code`\\n", "noch eins: `coda`\\n")
        enter(top, "one", "See [a page][page].\\n", "Siehe eine Seite.\\n")
        said = translate(top, "--check", status=1)
        for sign in ('"another: `code`": `code`', '"another: `code`": `coda`',
                     '"See [a page][page].": ][page]'):
            tap.expect_in(f"{LOCALE}/de/one/README.po: {sign} is in one language only", said)


@needs_po4a
def test_a_stale_paragraph_is_found_named_and_shown_in_english():
    with tree() as top:
        page, made, catalogue = (top / "one/README.md", top / "one/README.de.md",
                                 top / LOCALE / "de/one/README.po")
        enter(top, "one", "And so:\\n", "Also:\\n")
        as_it_is(top)
        translate(top)
        tap.equal(translate(top, "--check"), "")
        german, entry = made.read_text(), catalogue.read_text()
        replace(page, "And so:", "And so on:")
        named = 'one/README.de.md: in English, for it is new or has changed: "And so on:"\n'
        old = "one/README.de.md: not what README.md and its catalogue make: make texts\n"

        tap.equal(translate(top, "--check", status=1), named + old)
        tap.equal((made.read_text(), catalogue.read_text()), (german, entry))  # it has only looked

        renewed = f"renewed one/README.de.md\nrenewed {catalogue.relative_to(top)}\n"
        tap.equal(translate(top), named + renewed)
        tap.equal(made.read_text(), german.replace("Also:", "And so on:"))
        tap.equal(translate(top, "--check"), named)  # said, and no error

        # Who translates mends the entry, and takes the mark away.
        replace(catalogue, '#, fuzzy, no-wrap\n#| msgid "And so:\\n"\n', "#, no-wrap\n")
        replace(catalogue, "Also:", "Also weiter:")
        translate(top)
        tap.equal(made.read_text(), german.replace("Also:", "Also weiter:"))
        tap.equal(translate(top, "--check"), "")


def test_all_code_of_the_course_is_the_same_in_each_language():
    pages = list((tap.ROOT / LOCALE).rglob("*.po"))
    for path in pages:
        language, *folders, name = path.relative_to(tap.ROOT / LOCALE).parts
        page = tap.ROOT.joinpath(*folders, name).with_suffix(".md")
        here, there = ([block for block in FENCED.findall(text.read_text())
                        if not block.startswith("```mermaid")]
                       for text in (page, page.with_suffix(f".{language}.md")))
        tap.equal(there, here)
    assert pages


tap.run(vars())
