#!/usr/bin/env python3
"""book.py: makes of the texts build/book/html, a site; build/book/course.epub; and build/book/course.pdf.

book.py KIND ...    only some of: html epub pdf

The pages are written anew for each kind (pages.py), and Sphinx makes the rest of it: it reads MyST, which is
the Markdown that there is, makes all three kinds, and has a search that needs no server. Chromium makes the PDF,
from HTML: no second layout in TeX has to be kept, and it draws the plots, where WeasyPrint 57 gives up.
"""
import base64
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

import drawing
import pages

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(pages.ROOT / folder) for folder in ("common/report", "slides")]
import build  # noqa: E402  which makes the decks
import fonts  # noqa: E402
import paths  # noqa: E402
import program  # noqa: E402

KINDS = ("html", "epub", "pdf")
BOOK = paths.BUILD / "book"
BUILDERS = {"html": "html", "epub": "epub", "pdf": "singlehtml"}


def copied(kind, static):
    """What the pages need besides: style, script, fonts; and of a site decks and report."""
    static.mkdir(parents=True)
    name = "book.css" if kind == "html" else "paper.css"
    text = (HERE / name).read_text()
    if kind == "pdf":
        text += (HERE / "print.css").read_text()
    (static / name).write_text(font_rules(static) + text)
    if kind != "html":
        return
    for name in "book.js", "handover.js", "handover.css":
        shutil.copy2(HERE / name, static)
    for source in sorted((paths.BUILD / "slides").glob("[0-9][0-9]-*.*")):
        if source.suffix in (".html", ".pdf"):
            (static / "slides").mkdir(exist_ok=True)
            shutil.copy2(source, static / "slides")
    if (paths.BUILD / "report/index.html").exists():
        shutil.copytree(paths.BUILD / "report", static / "report")


def font_rules(static):
    """The fonts of the decks as files beside the style, and the rules that name them."""
    rules = fonts.faces("→")  # with an arrow: those for what Plex has not, too
    made = []
    for number, found in enumerate(re.finditer(r"url\(data:font/woff2;base64,([^)]*)\)", rules)):
        (static / f"font{number}.woff2").write_bytes(base64.b64decode(found[1]))
        made.append(found[0])
    for number, data in enumerate(made):
        rules = rules.replace(data, f"url(font{number}.woff2)")
    return rules


# What those who see nothing, and axe-core, miss in the pages of Sphinx and furo.
FOR_ALL = [(re.compile(pattern, re.S), by) for pattern, by in [
    (r'(<p class="caption" role="heading")>', r'\1 aria-level="2">'),
    (r'<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="The course">'),
    (r'<aside class="(toc-drawer[^"]*)">', r'<aside class="\1" aria-label="This page">'),
    (r'<label class="overlay ', '<label aria-hidden="true" class="overlay '),
    (r'<div id="search-results"></div>', '<h1>Search</h1>\n<div id="search-results"></div>'),
    # A head without words is none.
    (r'<thead>\s*<tr class="row-odd">(?:<th class="[^"]*"><p></p></th>\s*)+</tr>\s*</thead>', ""),
    (r'<th class="[^"]*"><p></p></th>', "<td></td>"),
    # A line that leads to what stands below it stays with that, on paper: one with a colon, or a title.
    (r"<p>((?:(?!</?p[ >]).)*:|<strong>(?:(?!</?(?:p|strong)[ >]).)*</strong>)</p>", r'<p class="leads">\1</p>'),
    # A picture that a phone shows small can be had alone. What is in a link already stays so.
    (r'(?<!">)(<img alt="[^"]*" src="((?:[^"/]*/)*_images/[^"]*)" ?/?>)', r'<a class="picture" href="\2">\1</a>'),
]]


def for_all(out):
    for page in out.rglob("*.html"):
        if "_static" not in page.parts:
            text = page.read_text()
            for pattern, by in FOR_ALL:
                text = pattern.sub(by, text)
            if other := re.search(r"\.(\w\w)\.html$", page.name):
                text = text.replace('lang="en"', f'lang="{other[1]}"', 1)
            page.write_text(text)


def whole(static):
    """Puts furo together, which Debian takes apart: its script imports another that exports nothing, its
    style one that is elsewhere; and that has the dark colours for who asks for them by a click, but not for
    whose system is dark."""
    script, style = static / "scripts/furo.js", static / "styles/furo.css"
    text, line = script.read_text(), re.compile(r"^import (?:\* as )?Gumshoe .*\n", re.M)
    if line.search(text):
        script.write_text((static / "scripts/gumshoe-patched.js").read_text() + line.sub("", text))
    text = re.sub(r"@import [^;]*normalize[^;]*;", "", style.read_text())
    style.write_text(text)
    dark = re.search(r"body\[data-theme=.?dark.?\] ?\{([^{}]*)\}", text)
    if dark and not re.search(r"prefers-color-scheme: ?dark\) ?\{\s*body[^{}]*\{\s*--color", text):
        style.write_text(f"{text}\n@media not print {{ @media (prefers-color-scheme: dark) {{\n"
                         f"body:not([data-theme=light]) {{{dark[1]}}} }} }}\n")


def sphinx(kind, stage, out):
    environment = os.environ | {"BOOK": kind, "BOOK_VERSION": build.version(), "BOOK_STATIC": str(stage / "_static"),
                                "LC_ALL": "C.UTF-8", "PYTHONPATH": str(HERE)}
    done = subprocess.run(["sphinx-build", "-q", "-W", "--keep-going", "-j", "2", "-b", BUILDERS[kind], "-c", HERE, "-d",
                           BOOK / f"doctrees-{kind}", stage, out], env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        lines = [line.replace(f"{stage}/", "") for line in done.stdout.splitlines() if "WARNING" in line or "rror" in line]
        raise program.Failure("\n".join(lines[:20] or done.stdout.splitlines()[-5:]))


@functools.cache
def handed(name):
    """The hand-over of a server, as handover.py has just seen it."""
    out = BOOK / f"hand-over-{name}.html"
    done = subprocess.run([HERE / "handover.py", name, out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise program.Failure(done.stderr.strip())
    return out.read_text(), out.with_suffix(".svg").read_text()


def home():
    """The address of the repository, where a workflow of GitHub makes the book."""
    server, repository = (os.environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY"))
    return f"{server}/{repository}" if server and repository else ""


def archive(path):
    """All that is tracked, as it is: whoever has only the book is to have what it speaks of."""
    with tarfile.open(path, "w:gz") as whole_tree:
        for name in sorted(pages.tracked()):
            whole_tree.add(pages.ROOT / name, f"course/{name}")


def make(kind, drawer):
    stage, out = BOOK / f"pages-{kind}", BOOK / (kind if kind == "html" else f"made-{kind}")
    for folder in stage, out:
        shutil.rmtree(folder, ignore_errors=True)
    book = pages.Book(kind, stage, drawer, handed, build.imprint(), home())
    book.make(paths.BUILD / "slides", paths.BUILD / "report")
    copied(kind, stage / "_static")
    sphinx(kind, stage, out)
    if kind != "epub":
        for_all(out)
    if kind == "html":
        whole(out / "_static")
        (out / ".nojekyll").touch()  # a host shows _static, too
        archive(out / pages.ARCHIVE)
        return out / "index.html"
    if kind == "epub":
        shutil.copy2(next(out.glob("*.epub")), BOOK / "course.epub")
        return BOOK / "course.epub"
    drawing.browse(["--no-pdf-header-footer", "--generate-pdf-document-outline",
                    f"--print-to-pdf={BOOK / 'course.pdf'}"], out / "index.html")
    return BOOK / "course.pdf"


def main():
    kinds = sys.argv[1:] or KINDS
    for kind in kinds:
        if kind not in KINDS:
            sys.exit(f"book.py: {kind}: not one of {', '.join(KINDS)}")
    BOOK.mkdir(parents=True, exist_ok=True)
    drawer = drawing.Drawer(BOOK / "drawn", BOOK / "node_modules/mermaid/dist/mermaid.min.js", fonts.faces("a"))
    try:
        drawer.draw([found[6] for name in pages.tracked() if name.endswith(".md") and not name.startswith(pages.NOT_THERE)
                     for found in pages.FENCE.finditer((pages.ROOT / name).read_text()) if found[5].split()[:1] == ["mermaid"]])
        for kind in kinds:
            print(os.path.relpath(make(kind, drawer), pages.ROOT))
    except (drawing.Mistake, pages.Mistake) as mistake:
        raise program.Failure(str(mistake)) from None


if __name__ == "__main__":
    program.main(main)
