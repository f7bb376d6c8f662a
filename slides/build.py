#!/usr/bin/env python3
"""build.py MARP OUT [--pdf]: makes each deck of this folder OUT/NAME.html, and with --pdf OUT/NAME.pdf.

A deck becomes one file that can be copied anywhere: fonts and pictures are put into it. The
comments that say where code comes from are taken out first, since Marp shows comments as speaker
notes.
"""
import base64
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

    return PICTURE.sub(picture, re.sub(r"^<!-- (excerpt|sketch) .*?-->\n", "", deck.read_text(), flags=re.M))


def main():
    pdf = sys.argv[3:] == ["--pdf"]
    if len(sys.argv) != 3 + pdf:
        sys.exit("usage: build.py MARP OUT [--pdf]")
    marp, out = sys.argv[1], pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    decks = sorted(deck for deck in HERE.glob("[0-9]*.md"))
    pictures = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:  # a browser may just end
        folder = pathlib.Path(name)
        for deck in decks:
            (folder / deck.name).write_text(prepared(deck, folder, pictures))
        theme = (HERE / "theme.css").read_text()
        theme += fonts.faces(theme + "".join(deck.read_text() for deck in decks))
        (folder / "theme.css").write_text(theme)
        command = [marp, "--theme", folder / "theme.css", "--html", "-I", folder, "-o", out]
        if pdf:
            command += ["--pdf", "--pdf-notes", "--allow-local-files"]
        # Marp and Chromium leave their files behind. As root Chromium runs only without its sandbox; what
        # it is shown is ours.
        environment = os.environ | {"TMPDIR": name}
        environment |= {"CHROME_NO_SANDBOX": "1"} if os.geteuid() == 0 else {}
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"slides: {done.stdout.strip()}")
    for deck in decks:
        if not pdf:
            html = (out / f"{deck.stem}.html").read_text()
            for path, data in pictures.items():
                html = html.replace(path, data)
            (out / f"{deck.stem}.html").write_text(html)
        print(out / f"{deck.stem}.{'pdf' if pdf else 'html'}")


if __name__ == "__main__":
    main()
