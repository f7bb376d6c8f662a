#!/usr/bin/env python3
"""The book as its readers have it: a site, an EPUB and a PDF. `make book` is to have made them."""
import functools
import html.parser
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import browser  # noqa: E402
import tap  # noqa: E402
sys.path.insert(0, str(tap.ROOT / "common/book"))
import book  # noqa: E402

BOOK = tap.BUILD / "book"
SITE = BOOK / "html"
CHAPTERS = sorted(path.name for path in (tap.ROOT / "chapters").glob("[0-9][0-9]-*"))
PAGES = ["index.html", *[f"chapters/{name}/index.html" for name in CHAPTERS], "chapters/01-fork-per-connection/index.ko.html", "chapters/part-one.html",
         "chapters/glossary.html", "chapters/facts.html", "exercises/index.html", "exercises/04-1-maxfd/index.html",
         "solutions/04-1-maxfd/index.html", "quiz/04-prefork-select.html", "slides/04-prefork-select.html",
         "source/chapters/04-prefork-select/pool-c.html", "search.html"]
PAGES += [path.name for path in [SITE / "report.html"] if path.exists()]  # where something was measured
SOME = [name for name in PAGES if re.search("^index|/0[34]-.*(?<!pool-c).html", name)]  # of each kind one
# Where a reader who sees nothing hears it, and nobody else should see it.
HIDDEN = re.compile(r"(cuts off what is in it|contrast of 1.00): \S*(visually-hidden|headerlink)")
AXE = (BOOK / "node_modules/axe-core/axe.min.js")
# Each violation, with the first places where it is.
VIOLATIONS = """axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations.map(violation =>
    violation.id + ": " + violation.help + ": " + violation.nodes.slice(0, 3).map(node => node.target.join(" ")).join(", ")))"""


class Links(html.parser.HTMLParser):
    """The ids of a page, and what it points at."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.targets, self.without_text = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        of = dict(attrs)
        self.ids |= {of[name] for name in ("id", "name") if of.get(name)}
        if tag == "img" and not (of.get("alt") or "").strip():
            self.without_text.append(of.get("src"))
        self.targets += [of[name] for name in ("href", "src") if of.get(name)]


def lost(pages):
    """Of a dictionary of pages by path, what points at nothing; other files are True in it."""
    read = {name: Links(text) for name, text in pages.items() if text is not True}
    for name, page in read.items():
        for target in page.targets:
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            path = name
            if parts.path:
                path = str(pathlib.PurePosixPath(name).parent / urllib.parse.unquote(parts.path))
                path = "/".join(functools.reduce(lambda done, part: done[:-1] if part == ".." else done + [part],
                                                 pathlib.PurePosixPath(path).parts, []))
            if path not in pages:
                yield f"{name}: {target} is not there"
            elif parts.fragment and path in read and urllib.parse.unquote(parts.fragment) not in read[path].ids:
                yield f"{name}: {target}: there is no such place"
        for source in page.without_text:
            yield f"{name}: picture {source} has no text"


def of_folder(folder):
    # What comes whole from elsewhere, decks, report and scripts, has tests of its own.
    return {str(path.relative_to(folder)): path.read_text() if path.suffix == ".html" and "_static" not in path.parts else True
            for path in folder.rglob("*") if path.is_file()}


def links_of_the_site_lead_somewhere():
    tap.equal(sorted(lost(of_folder(SITE)))[:20], [])


def links_of_the_epub_lead_somewhere():
    with zipfile.ZipFile(BOOK / "course.epub") as epub:
        pages = {name: epub.read(name).decode() if name.endswith(".xhtml") else True for name in epub.namelist()}
    tap.expect(len(pages) > 100, f"only {len(pages)} files")
    tap.expect(any(name.endswith(".woff2") for name in pages), "no fonts")
    tap.equal(sorted(lost(pages))[:20], [])


def links_of_the_pdf_lead_somewhere():
    page = BOOK / "made-pdf/index.html"  # of which it is made
    # Nobody sees what the page has on its edges.
    pages = of_folder(page.parent) | {"index.html": page.read_text(), "search.html": True}
    tap.equal(sorted(lost({name: text if name == "index.html" else True for name, text in pages.items()}))[:20], [])


def epubcheck_is_content():
    jar = pathlib.Path("/usr/share/java/epubcheck.jar")
    command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", jar] if jar.exists() else ["epubcheck"]
    done = subprocess.run([*command, BOOK / "course.epub"], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    tap.expect(done.returncode == 0 and not re.search("^(FATAL|ERROR|WARNING)", said, re.M), said[:3000])


def the_pdf_has_pages_and_an_outline():
    data = (BOOK / "course.pdf").read_bytes()
    counts = [int(count) for count in re.findall(rb"/Type /Pages\s*/Count (\d+)", data)]
    tap.expect(max(counts, default=0) > 150, f"pages: {counts}")
    titles = b" ".join(re.findall(rb"/Title \(([^)]*)\)", data)).decode(errors="replace")
    for number, name in enumerate(CHAPTERS, 1):
        title = re.match("# (.*)", (tap.ROOT / "chapters" / name / "README.md").read_text())[1]
        tap.expect_in(title, titles)
    tap.expect_in("Glossary", titles)


def whose_system_is_dark_gets_the_dark_colours():
    """Of furo they are missing as Debian 12 has it, and as Debian 13 has it; as its authors have it, they are there."""
    dark, icon = "body[data-theme=dark] {--color: white}", "svg.auto-light {display: none}"
    for style, added in ((f"@media not print {{ {dark} }}", True),
                         (f"@media not print {{ {dark} }} @media (prefers-color-scheme: dark) {{ body {icon} }}", True),
                         (f"{dark}@media(prefers-color-scheme:dark){{body:not([data-theme=light]){{--color:white}}}}", False)):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("scripts/furo.js", ""), ("styles/furo.css", style)):
                path = pathlib.Path(folder, name)
                path.parent.mkdir()
                path.write_text(text)
            book.whole(pathlib.Path(folder))
            made = path.read_text()
        tap.equal(made != style, added)
        tap.expect(not added or "body:not([data-theme=light]) {--color: white}" in made, made)


# ---- the site, in a browser ----------------------------------------------------------------------

def with_site(test):
    @functools.wraps(test)
    def run():
        with browser.serve(SITE) as url, browser.Browser() as program:
            test(program, url)
    return run


def looks(width, dark, media=""):
    @with_site
    def test(program, url):
        found = []
        for name in PAGES if width == 360 else SOME:
            with program.open(url + name, width=width, dark=dark, media=media) as page:
                faults = [fault for fault in page.faults() if not HIDDEN.match(fault)]
                if width != 800:  # for axe a window between is nothing new
                    page.evaluate(AXE.read_text() + "; 0")
                found += [f"{name}: {fault}" for fault in faults + (page.evaluate(VIOLATIONS) if width != 800 else [])]
        tap.expect(not found, "\n".join(found[:40]))
    test.__name__ = f"pages_are_without_fault_at_{width}_{'dark' if dark else 'light'}{'_on_paper' if media else ''}"
    return test


@with_site
def a_search_finds_what_a_text_says(program, url):
    for words, where in (("MSG_CTRUNC", "chapters/03-descriptor-passing"), ("zombie", "exercises/01-1")):
        with program.open(f"{url}search.html?q={words}", width=360) as page:
            page.evaluate("""new Promise(resolve => { const look = () =>
                /finished/i.test(document.querySelector("#search-results").innerText) ? resolve() : setTimeout(look, 20); look(); })""")
            tap.expect_in(where, " ".join(page.evaluate("[...document.querySelectorAll('ul.search li a')].map(a => a.href)")))


@with_site
def what_was_searched_is_in_sight(program, url):
    with program.open(f"{url}chapters/03-descriptor-passing/index.html?highlight=msg_ctrunc", width=360) as page:
        box = page.evaluate("""new Promise(resolve => { const end = Date.now() + 10000, look = () => {
            const box = document.querySelector("article .highlighted")?.getBoundingClientRect() ?? {};
            if (box.top >= 0 && box.bottom <= innerHeight || Date.now() > end)
                resolve([box.top, box.bottom, innerHeight]);
            else
                setTimeout(look, 20);
        }; look(); })""")
    tap.expect(box[0] is not None and 0 <= box[0] and box[1] <= box[2], f"top, bottom, height of the window: {box}")


@with_site
def keys_lead_back_from_the_end_of_a_hand_over(program, url):
    with program.open(url + "chapters/07-one-queue/index.html") as page:
        page.evaluate("document.querySelector('.ho-controls button[aria-label=\"Next step\"]').focus()")
        for name, code, shown in ("End", 35, r"(\d+) of \1"), ("Home", 36, r"1 of \d+"), ("ArrowRight", 39, r"2 of \d+"):
            key(page, name, code)
            count = page.evaluate("document.querySelector('.ho-count').textContent")
            tap.expect(re.fullmatch(shown, count), f"after {name}: {count}")


def the_archive_is_the_repository():
    with tarfile.open(SITE / "course.tar.gz") as archive:
        names = {name.removeprefix("course/") for name in archive.getnames()}
    done = subprocess.run(["git", "-C", tap.ROOT, "ls-files"], capture_output=True, text=True, check=False)
    if done.returncode:
        return "git knows nothing of it"
    tap.equal(set(done.stdout.splitlines()) - names, set())
    tap.expect_in(">one archive<", (SITE / "index.html").read_text())
    return None


def an_exercise_leads_to_the_next_one():
    page = (SITE / "exercises/04-1-maxfd/index.html").read_text()
    found = dict(re.findall(r'<a class="(next|prev)-page" href="([^"]*)"', page))
    tap.equal(found, {"next": "../04-2-dead-worker/index.html", "prev": "../03-5-three-descriptors/index.html"})


@with_site
def what_is_copied_from_a_console_can_be_typed(program, url):
    with program.open(url + "exercises/04-1-maxfd/index.html") as page:
        x, y = page.evaluate("""(() => {
            document.addEventListener("copy", event => window.copied = document.activeElement.value);
            const button = document.querySelectorAll("div.highlight-console button.copybtn")[1];
            button.scrollIntoView({behavior: "instant", block: "center"});
            const box = button.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; })()""")
        for kind in "mouseMoved", "mousePressed", "mouseReleased":  # only a person may copy
            page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        copied = page.evaluate("window.copied") or ""
    tap.equal(copied.splitlines(), ["build/exercises/04-1-maxfd/server 2 & server=$!; sleep 0.5",
                                           "echo hello | nc -N -w 3 127.0.0.1 8083"])


def key(page, name, code):
    for kind in "keyDown", "keyUp":
        page.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code,
                  text="\r" if name == "Enter" and kind == "keyDown" else "")


@with_site
def keys_are_enough(program, url):
    """A hint opens by Enter, when Tab has come there; a choice of a quiz is made by the space bar."""
    with program.open(url + "exercises/04-1-maxfd/index.html") as page:
        for _ in range(400):
            key(page, "Tab", 9)
            if page.evaluate("document.activeElement.localName") == "summary":
                break
        tap.equal(page.evaluate("document.activeElement.textContent"), "Hint 1")
        key(page, "Enter", 13)
        tap.equal(page.evaluate("document.activeElement.parentElement.open"), True)


@with_site
def a_quiz_answers(program, url):
    with program.open(url + "quiz/04-prefork-select.html") as page:
        for kind, begin in ("wrong", "No."), ("right", "Right."):
            page.evaluate(f"document.querySelector('.question label.{kind} input').click()")
            shown = page.evaluate("[...document.querySelectorAll('.question .why')].filter(e => !e.hidden).map(e => e.textContent)")
            tap.equal(len(shown), 1)
            tap.expect(shown[0].startswith(begin), shown[0])


@with_site
def all_is_there_without_scripts(program, url):
    with program.open("about:blank") as page:
        page.call("Emulation.setScriptExecutionDisabled", value=True)
        for name, words in (("chapters/04-prefork-select/index.html", "What you will be able to do"),
                            ("quiz/04-prefork-select.html", "The answer")):
            program.events(page.session).clear()
            page.call("Page.navigate", url=url + name)
            program.wait(page.session, "Page.loadEventFired")
            text = "".join(page.call("Page.captureSnapshot")["data"].split("=\r\n"))
            tap.expect_in("<details", text)
            tap.expect(words in text, f"{name} does not say: {words}")


def an_excerpt_leads_to_its_lines():
    page = (SITE / "chapters/03-descriptor-passing/index.html").read_text()
    target = re.search(r'<p class="from"><a href="([^"#]*)#(f\d+-(\d+))">chapters/03-descriptor-passing/fdpass.c, line \3 ', page)
    tap.expect(target, "no line below an excerpt of fdpass.c")
    there = (SITE / "chapters/03-descriptor-passing" / target[1]).resolve().read_text()
    line = re.search(rf'id="{target[2]}"[^>]*>(.*)$', there, re.M)[1]
    shown = (tap.ROOT / "chapters/03-descriptor-passing/fdpass.c").read_text().splitlines()[int(target[3]) - 1]
    tap.equal("".join(Words(line).said).split()[1:], shown.split())


class Words(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.said = []
        self.feed(text)

    def handle_data(self, data):
        self.said.append(data)


def main():
    if not SITE.exists():
        sys.exit("book.py: there is no book; make book")
    tests = [links_of_the_site_lead_somewhere, links_of_the_epub_lead_somewhere, links_of_the_pdf_lead_somewhere,
             epubcheck_is_content, whose_system_is_dark_gets_the_dark_colours, the_pdf_has_pages_and_an_outline, an_excerpt_leads_to_its_lines,
             looks(360, True), looks(800, False), looks(1600, False), looks(800, False, "print"),
             the_archive_is_the_repository, an_exercise_leads_to_the_next_one, a_search_finds_what_a_text_says,
             what_was_searched_is_in_sight, keys_lead_back_from_the_end_of_a_hand_over, what_is_copied_from_a_console_can_be_typed, keys_are_enough, a_quiz_answers,
             all_is_there_without_scripts]
    tap.run([], last=[(test.__name__, test) for test in tests], seconds=1800)


main()
