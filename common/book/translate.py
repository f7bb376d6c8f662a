#!/usr/bin/env python3
"""Makes the translated pages, each beside the page that it is a translation of.

translate.py [--check]          makes README.ko.md of README.md and its catalogue, and so on
translate.py LANGUAGE PAGE.md   begins a catalogue, in which all is still to be translated

A catalogue, common/book/locale/LANGUAGE/PATH/README.po, has an entry for each heading, paragraph,
item of a list, row of a table and Mermaid picture, in the format of gettext; po4a keeps it. Other
code, what consoles show, and the addresses of links by name are not in it: they stand in the
translated page as in the page. When a paragraph changes, po4a marks its entry as fuzzy, and it is
stale: the translated page shows the paragraph in English until somebody has mended the entry and
removed the mark. Links to a page that is translated lead to the translation, and those to a heading
to what it is called there: an entry has them as the page has.

With --check nothing is written. That a translated page is not what is made is an error, and so is
an entry that loses code, a link or a comment, or gains one. Entries that are stale are named; they
are no error, since who mends an English sentence need not know all languages.
"""
import ast
import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

TOP = pathlib.Path(__file__).resolve().parents[2]
LOCALE = TOP / "common/book/locale"

# Code, fenced or indented; addresses of links by name; the line below the head of a table, with
# a head that is empty.
BLOCK = re.compile(r"((?:^<!-- (?:excerpt|sketch) [^\n]*\n)?^```.*?^```\n"
                   r"|(?<=\n\n)(?: {4}[^\n]*\n)+|(?:^\[[^\]\n]+\]: [^\n]*\n)+"
                   r"|(?:^\|[ |]*\|\n)?^\|[ :|-]+\|\n)", re.M | re.S)
PICTURE = "```mermaid\n"  # the one block that is translated
# Two lines that po4a takes for rules and lets through: one stands for the blocks that it is not to
# see, the other makes an entry of each row and item.
HOLE, SEAM = "_________\n", "*********\n"
ITEM = r" *(?:[*+-]|\d+[.)]) |\|"  # how an item, or a row, begins
WRAPPED = re.compile(rf"(?<=\S)\n *(?=[^\s|#>])(?!{ITEM})")
BESIDE = re.compile(rf"^((?:{ITEM}).*\n)(?={ITEM})", re.M)
HEADING = re.compile(r"^#+ (.*)$", re.M)
LINK = re.compile(r"\]\(([^)#\s:]*)(#[^)\s]*)?\)")
ENTRY = re.compile(r'^((?:#.*\n)*)msgid ((?:".*"\n)+)msgstr ((?:".*"\n)+)', re.M)
# What an entry must have in both languages.
MARKUP = re.compile(r"`[^`]+`|\]\([^)]*\)|\]\[[^\]]*\]|<!--.*?-->")

Entry = collections.namedtuple("Entry", "fuzzy text translation")


class Page:
    """A page in another language, as it is to be."""

    def __init__(self, path):
        self.path = path  # of its catalogue
        self.language, *folders, name = path.relative_to(LOCALE).parts
        self.source = TOP.joinpath(*folders, name).with_suffix(".md")
        self.target = translated(self.source, self.language)
        self.text = self.source.read_text()
        self.catalogue, self.made = self.by_po4a()
        self.anchors = dict(zip(slugs(self.text), slugs(self.made)))

    def by_po4a(self):
        """The catalogue with an entry for all that is there now, and what it makes of the page."""
        with tempfile.TemporaryDirectory(prefix="translate-") as temporary:
            folder = pathlib.Path(temporary)
            (folder / "page.md").write_text(master(self.text))
            (folder / "page.po").write_text(self.path.read_text())
            (folder / "po4a.cfg").write_text(
                f"[po4a_paths] page.pot {self.language}:page.po\n"
                f"[type: text] page.md {self.language}:made.md "
                'opt:"--keep 0 --option markdown --option neverwrap"\n')
            command = ["po4a", "--quiet", "--porefs", "never", "--master-charset", "UTF-8",
                       "--localized-charset", "UTF-8", "po4a.cfg"]
            ran = subprocess.run(command, cwd=folder, env=os.environ | {"LC_ALL": "C"}, check=False,
                                 text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
            if ran.returncode != 0:
                sys.exit(f"{self.path.relative_to(TOP)}: {ran.stdout}")
            dated = re.compile(r'^"POT-Creation-Date: .*"\n', re.M)
            return dated.sub("", (folder / "page.po").read_text()), (folder / "made.md").read_text()

    def finished(self, pages):
        """What po4a has made, with the blocks that it has not seen; links may lead to `pages`."""
        def link(found):
            name, anchor = found[1], found[2] or ""
            target = (self.source.parent / name).resolve() if name else self.source
            if target.is_dir():
                target, name = target / "README.md", f"{name.rstrip('/')}/README.md"
            there = pages.get((self.language, target))
            if there is None or (target == self.source and name):  # the latter leads back to it
                return found[0]
            name = name and translated(pathlib.PurePath(name), self.language)
            return f"]({name}{anchor and '#' + there.anchors.get(anchor[1:], anchor[1:])})"

        parts = BLOCK.split(self.made)  # of these blocks there are only pictures left
        for i in range(0, len(parts), 2):
            prose = re.sub(rf"\n+{re.escape(SEAM)}", "\n", LINK.sub(link, parts[i]))
            parts[i] = re.sub(r"\n{3,}", "\n\n", prose)  # po4a ends an item with a line too many
        kept = (block for block in BLOCK.split(self.text)[1::2] if not block.startswith(PICTURE))

        def fill(hole):
            block = next(kept)
            return block + ("" if block.startswith("|") else hole[1])
        return re.sub(f"^{HOLE}(\n?)", fill, "".join(parts), flags=re.M)


def translated(path, language):
    return path.with_suffix(f".{language}{path.suffix}")


def slugs(text):
    """The anchors that hosts make of the headings."""
    headings = [heading for prose in BLOCK.split(text)[::2] for heading in HEADING.findall(prose)]
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain]


def master(text):
    """What po4a gets: a line for each paragraph, however it is wrapped, rows and items apart."""
    parts = BLOCK.split(text)
    for i, part in enumerate(parts):
        if i % 2 == 0:
            parts[i] = BESIDE.sub(rf"\1{SEAM}", WRAPPED.sub(" ", part))
        elif not part.startswith(PICTURE):
            parts[i] = HOLE
    return "".join(parts)


def entries(catalogue):
    """The entries, without the head."""
    for comments, *strings in ENTRY.findall(catalogue):
        text, translation = ("".join(map(ast.literal_eval, lines.split("\n")[:-1]))
                             for lines in strings)
        if text:
            yield Entry(", fuzzy" in comments, text, translation)


def problems(catalogue, language):
    """What an entry has lost, or gained."""
    for entry in entries(catalogue):
        if entry.translation and not entry.fuzzy:
            here, there = (set(MARKUP.findall(text.replace(f".{language}.md", ".md")))
                           for text in (entry.text, entry.translation))
            for sign in sorted(here ^ there):
                yield f"{beginning(entry)}: {sign} is in one language only"


def beginning(entry):
    return f'"{textwrap.shorten(entry.text, 60, placeholder=" ...")}"'


# ---- the command ---------------------------------------------------------------------------------

def begin(language, source):
    """Writes an empty catalogue."""
    path = (LOCALE / language / source.resolve().relative_to(TOP)).with_suffix(".po")
    if path.exists():
        sys.exit(f"{path.relative_to(TOP)} is there already")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'msgid ""\nmsgstr ""\n"Language: {language}\\n"\n"MIME-Version: 1.0\\n"\n'
                    '"Content-Type: text/plain; charset=UTF-8\\n"\n'
                    '"Content-Transfer-Encoding: 8bit\\n"\n')


def main():
    arguments = sys.argv[1:]
    check = arguments == ["--check"]
    if len(arguments) == 2:
        begin(arguments[0], pathlib.Path(arguments[1]))
    elif arguments and not check:
        sys.exit("usage: translate.py [--check | LANGUAGE PAGE.md]")
    pages = {(page.language, page.source): page for page in map(Page, sorted(LOCALE.rglob("*.po")))}
    status = 0
    for page in pages.values():
        name = page.target.relative_to(TOP)
        for problem in problems(page.catalogue, page.language):
            print(f"{page.path.relative_to(TOP)}: {problem}", file=sys.stderr)
            status = 1
        for entry in entries(page.catalogue):
            if entry.fuzzy or not entry.translation:
                print(f"{name}: in English, for it is new or has changed: {beginning(entry)}")
        for path, new in (page.target, page.finished(pages)), (page.path, page.catalogue):
            if path.is_file() and path.read_text() == new:
                continue
            if not check:
                path.write_text(new)
                print(f"renewed {path.relative_to(TOP)}")
            elif path == page.target:
                print(f"{name}: not what {page.source.name} and its catalogue make: make texts",
                      file=sys.stderr)
                status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
