#!/usr/bin/env python3
"""build.py MARP OUT [CHROMIUM]: makes each deck of this folder OUT/NAME.html; and where there is a
Chromium NAME.pdf, the slides alone; NAME-handout.pdf, on paper with room to write; and
NAME-notes.pdf, each slide with what to say.

A deck becomes one file that can be copied anywhere: fonts and pictures are put into it. The
comments that say where code comes from are taken out first, since Marp shows comments as speaker
notes.
"""
import base64
import html
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common/report"))
import fonts  # noqa: E402  which is there

PICTURE = re.compile(r"(!\[[^\]]*\]\()([^)\s]+\.(svg|png))(\))")
TYPES = {"svg": "image/svg+xml", "png": "image/png"}
TITLE = re.compile(r"(<!-- _class: title -->.*?)(?=\n<!--\n)", re.S)  # until its notes
# What Marp makes of a deck: its styles, the slides, and what is said to each.
STYLE = re.compile(r"<style>.*?</style>", re.S)
SLIDE = re.compile(r'<svg data-marpit-svg="".*?</svg>', re.S)
NOTE = re.compile(r'<div class="bespoke-marp-note" data-index="(\d+)"[^>]*>(.*?)</div>', re.S)
PAPER = """
<style>
@page { size: A4; margin: 14mm 16mm; }
html, body { background: #fff !important; width: auto !important; height: auto !important; overflow: visible !important; }
.part { display: grid; gap: 6mm; margin: 0 0 8mm; break-inside: avoid; }
.part > div > svg[data-marpit-svg] { display: block; width: 100% !important; height: auto !important; aspect-ratio: 16 / 9;
    border: 1px solid #888; box-sizing: border-box; break-before: auto !important; break-after: auto !important; break-inside: avoid; }
.part section { break-before: auto !important; break-after: auto !important; }
.handout .part { grid-template-columns: 112mm 1fr; height: 80mm; }
.handout .said { background: repeating-linear-gradient(#fff 0 8.6mm, #999 8.6mm 8.9mm); height: 63mm; }
.notes .part { grid-template-columns: 76mm 1fr; }
.notes .said { font: 10.5pt/1.4 'IBM Plex Sans', 'DejaVu Mono', Arial, sans-serif; }
.notes .said p, .notes .said pre { margin: 0 0 2mm; }
.notes .said :is(pre, code) { font: 9pt/1.4 'IBM Plex Mono', 'DejaVu Mono', monospace; white-space: pre-wrap; }
</style>
"""


def version():
    """Of the course: when it was last changed, and how git calls that."""
    done = subprocess.run(["git", "-C", HERE, "log", "-1", "--format=%cs (%h)"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def imprint():
    return " · ".join(["The authors of this course", *([f"version of {version()}"] if version() else []),
                       "texts CC BY 4.0, code MIT"])


def prepared(deck, folder, pictures):
    """The text of a deck with whole paths for its pictures, copied and noted in `pictures`."""

    def picture(found):
        path = (deck.parent / found[2]).resolve()
        if not path.is_file():
            sys.exit(f"slides: {deck.name}: there is no picture {found[2]}")
        data = fonts.picture(path.read_text()).encode() if found[3] == "svg" else path.read_bytes()
        copy = folder / path.relative_to(HERE.parent).as_posix().replace("/", "-")
        copy.write_bytes(data)
        pictures[str(copy)] = f"data:{TYPES[found[3]]};base64,{base64.b64encode(data).decode()}"
        return found[1] + str(copy) + found[4]

    text = re.sub(r"^<!-- (excerpt|sketch) .*?-->\n", "", deck.read_text(), flags=re.M)
    text = TITLE.sub(lambda found: f'{found[1]}\n<p class="imprint">{imprint()}</p>\n', text, count=1)
    return PICTURE.sub(picture, text)


def run(command, temporary):
    """Marp and Chromium leave their files behind: in a folder that goes."""
    environment = os.environ | {"TMPDIR": str(temporary), "HOME": str(temporary)}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"slides: {done.stdout.strip()}")


def paragraphs(note):
    """What Marp has of a note, as its author meant it: "Say: ..." begins a paragraph, and what is set in is to be typed."""
    made = []
    note = re.sub(r"`([^`]+)`", r"<code>\1</code>", note)
    for line in re.sub(r"</?p>", "\n", note).splitlines():
        heading = re.match(r"([A-Z][A-Za-z ]{2,14}:)(.*)", line)
        if heading:
            made.append(["p", f"<strong>{heading[1]}</strong>{heading[2]}"])
        elif not line.strip():
            made.append(["p", ""])
        elif line.startswith("  "):
            made.append(["pre", line.strip()])
        elif made and made[-1][0] == "p":
            made[-1][1] += f" {line}"
        else:
            made.append(["p", line])
    return "".join(f"<{kind}>{text}</{kind}>" for kind, text in made if text.strip())


def on_paper(deck, kind):
    """A page to be printed, made of a deck: kind is "handout" or "notes"."""
    notes = dict(NOTE.findall(deck))
    parts = []
    for number, slide in enumerate(SLIDE.findall(deck)):
        said = paragraphs(notes.get(str(number), "")) if kind == "notes" else ""
        parts.append(f'<div class="part"><div id=":$p">{slide}</div><div class="said">{said}</div></div>')
    title = html.escape(re.search(r"<title>(.*?)</title>", deck)[1])
    return (f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'{"".join(STYLE.findall(deck))}{PAPER}</head><body class="{kind}">{"".join(parts)}</body></html>')


def make_html(marp, out, decks, temporary):
    pictures = {}
    for deck in decks:
        (temporary / deck.name).write_text(prepared(deck, temporary, pictures))
    theme = (HERE / "theme.css").read_text()
    theme += fonts.faces(theme + "".join(deck.read_text() for deck in decks))
    (temporary / "theme.css").write_text(theme)
    run([marp, "--theme", temporary / "theme.css", "--html", "-I", temporary, "-o", temporary / "made"], temporary)
    for deck in decks:
        made = out / f"{deck.stem}.html"
        text = (temporary / "made" / made.name).read_text()
        for path, data in pictures.items():
            text = text.replace(path, data)
        put(made, text.encode())
        print(made)


def put(path, data):
    """Whoever reads it just now has the old one, whole."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(data)
    new.replace(path)


def print_page(chromium, page, pdf, temporary):
    # The page is ours; the sandbox starts neither as root nor in most containers, whoever asks.
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
               "--no-pdf-header-footer", f"--user-data-dir={temporary / 'profile'}"]
    run([chromium, *options, f"--print-to-pdf={pdf}", page.resolve().as_uri()], temporary)


def make_pdf(chromium, out, decks, temporary):
    for deck in decks:
        made = out / f"{deck.stem}.html"
        pages = {f"{deck.stem}.pdf": made}
        for kind in "handout", "notes":
            pages[f"{deck.stem}-{kind}.pdf"] = temporary / f"{deck.stem}-{kind}.html"
            pages[f"{deck.stem}-{kind}.pdf"].write_text(on_paper(made.read_text(), kind))
        for name, page in pages.items():
            print_page(chromium, page, temporary / name, temporary)
            put(out / name, (temporary / name).read_bytes())
            print(out / name)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: build.py MARP OUT [CHROMIUM]")
    marp, out, *chromium = sys.argv[1:]
    out = pathlib.Path(out).absolute()
    out.mkdir(parents=True, exist_ok=True)
    decks = sorted(HERE.glob("[0-9]*.md"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:  # a browser may just end
        temporary = pathlib.Path(name)
        make_html(marp, out, decks, temporary)
        if chromium:
            make_pdf(chromium[0], out, decks, temporary)


if __name__ == "__main__":
    main()
