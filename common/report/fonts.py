"""The fonts of the decks, of the page of results, and of the pictures in both: CSS that has them
in it.

So every machine shows the same, whatever fonts it has. npm brings them (slides/package.json); where
it has not, there is no CSS, and the system's fonts are taken. All are under the SIL Open Font
License.
"""
import base64
import html
import json
import re

import paths

FOLDER = paths.BUILD / "slides/node_modules/@fontsource"
# IBM Plex tells 1, l and I apart. Of it there is Latin with punctuation; arrows, signs of
# mathematics, boxes and other alphabets come from DejaVu, which is large: only where something is
# written that needs it.
SANS = "'IBM Plex Sans', 'DejaVu Mono', Helvetica, Arial, sans-serif"
MONO = "'IBM Plex Mono', 'DejaVu Mono', Menlo, Consolas, monospace"
PLEX = [("IBM Plex Sans", "400", "normal"), ("IBM Plex Sans", "400", "italic"),
        ("IBM Plex Sans", "600", "normal"),
        ("IBM Plex Mono", "400", "normal"), ("IBM Plex Mono", "600", "normal")]


def rule(family, weight, style, characters):
    package = family.lower().replace(" ", "-")
    font = FOLDER / package / "files" / f"{package}-latin-{weight}-{style}.woff2"
    data = base64.b64encode(font.read_bytes()).decode()
    return (f"@font-face {{ font-family: '{family}'; font-weight: {weight}; font-style: {style}; "
            f"src: url(data:font/woff2;base64,{data}) format('woff2');{characters} }}\n")


def outside(text, ranges):
    """Whether a character of the text is in none of the ranges, which are "U+0000-00FF,U+0131"."""
    parts = ranges.replace("U+", "").split(",")
    pairs = [[int(end, 16) for end in part.split("-")] for part in parts]
    return any(not any(pair[0] <= ord(character) <= pair[-1] for pair in pairs)
               for character in set(html.unescape(text)))


def faces(text, kinds=PLEX):
    """The rules for a text; "" where npm has not brought the fonts."""
    try:
        latin = json.loads((FOLDER / "ibm-plex-sans/unicode.json").read_text())["latin"]
        rules = [rule(*kind, f" unicode-range: {latin};") for kind in kinds]
        if outside(text, latin):
            rules.append(rule("DejaVu Mono", "400", "normal", ""))
    except FileNotFoundError:
        return ""
    return "".join(rules)


def picture(svg):
    """A picture with its fonts in it, since it cannot take those of the page that shows it."""

    def family(found):
        return f'font-family="{MONO if "mono" in found[1].lower() else SANS}"'

    text = re.sub(r'font-family="([^"]*)"', family, svg)
    kinds = [kind for kind in PLEX
             if kind[0] in text and kind[2] == "normal" and (kind[1] == "400" or "bold" in text)]
    rules = faces(text, kinds)
    return re.sub(r"<svg\b[^>]*>", rf"\g<0><style>{rules}</style>", text, count=1) if rules else svg
