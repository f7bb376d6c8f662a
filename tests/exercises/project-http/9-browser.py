"""5 points, 30 minutes: a browser shows a page"""
import zlib

from web import *  # noqa: F403
from browser import Browser, Failure


def picture(width, height):
    """A PNG of random colours: https://www.w3.org/TR/png-3/"""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + random.randbytes(3 * width) for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


begin()
try:
    browser = Browser()
except Failure as failure:
    skip(str(failure))
step(
    "start the server, and open a page with a picture, a style and a script in a headless Chromium")
with site(workers=8, seconds=2) as (folder, server), browser:
    width, height, title = random.randrange(20, 90), random.randrange(20, 90), name()
    files = {kind: f"{name()}.{kind}" for kind in ("png", "css", "js")}
    folder.add(files["png"], picture(width, height))
    folder.add(files["css"], f"h1 {{ width: {width}px; }}\n".encode())
    folder.add(files["js"], f"document.title = \"{title}\";\n".encode())
    page = folder.add(
        f"{folder.sub}/index.html", f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>none</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="../{files['css']}"></head>
<body><h1>A</h1><img src="../{files['png']}" alt="noise">
<script type="module" src="../{files['js']}"></script></body></html>
""".encode())
    try:
        with browser.open(url(server, page)) as tab:
            step(
                "look at the page",
                "the Content-Type of each file: a browser takes no style and no module of another")
            size = tab.evaluate(
                "[document.images[0].naturalWidth, document.images[0].naturalHeight]")
            expect(size == [width, height], f"a picture of {width} by {height}", f"it is {size}")
            wide = tab.evaluate("document.querySelector('h1').offsetWidth")
            expect(wide == width, f"a heading {width} wide, as the style says",
                   f"it is {wide} wide")
            shown = tab.evaluate("document.title")
            expect(shown == title, f"the title \"{title}\", which the script sets",
                   f"it is \"{shown}\"")
    except Failure as failure:
        fail("the browser to show the page", str(failure))
passed()
