"""How a server is drawn: its family has a colour and a shape of points, its place within the family
a dash and a fill.

So are told apart as many servers as there may be, and on grey paper, too: the colours differ in
lightness (beside each, L* of CIE 1976, from black at 0 to white at 100), the shapes differ anyway.
"""
import collections

import chapters
import designs
import registry

INKS = ("#d55e00",  # 54, vermilion
        "#004c97",  # 33, blue
        "#2bb48a",  # 66, green
        "#a0307a",  # 40, purple
        "#dda520",  # 71, yellow
        "#552b00",  # 23, brown
        "#7fc8f0",  # 77, sky
        "#6b7a00")  # 48, olive
GREY = "#777777"  # the servers of others, and what is none

# Of gnuplot's points, each as (filled, hollow): circle, square, triangle, diamond, triangle
# downwards, pentagon; and some that are lines only: a cross, a star.
SHAPES = ((7, 6), (5, 4), (9, 8), (13, 12), (11, 10), (15, 14), (2, 1), (3, 3))
DASHES = ("(1,0)", "(14,5)", "(3,4)", "(14,4,3,4)")
FILLS = (0.95, 0.5, 0.75, 0.25)  # how dense a bar is

Style = collections.namedtuple("Style", "colour point dash fill")


def styles():
    """The style of every server, by name."""
    families = collections.defaultdict(list)
    for server in registry.servers().values():
        families[server.family].append(server.name)
    found = {}
    for family, names in enumerate(families.values()):
        for place, name in enumerate(names):
            found[name] = Style(INKS[family % len(INKS)], SHAPES[family % len(SHAPES)][place % 2],
                                place % len(DASHES), FILLS[place % len(FILLS)])
    for place, name in enumerate([*designs.PEERS, *chapters.floors()]):
        found[name] = Style(GREY, SHAPES[place][place % 2],
                            place % len(DASHES), FILLS[place % len(FILLS)])
    return found


def gnuplot():
    """The same for style.gp: functions of a server's name; and ink(n), the colours for what is no
    server.
    """
    def choice(head, pairs, otherwise):
        return f"{head} = " + "".join(f"{test} ? {value} : " for test, value in pairs) + otherwise

    def number(colour):
        return "0x" + colour.removeprefix("#")

    known = styles()
    inks = ((f"n == {n}", number(colour)) for n, colour in enumerate(INKS, 1))
    yield choice("ink(n)", inks, "0x000000")
    for n, dash in enumerate(DASHES):
        yield f"set dashtype {n + 1} " + ("solid" if n == 0 else dash)
    for name, of, otherwise in (("colour", lambda style: number(style.colour), "0x000000"),
                                ("point", lambda style: style.point, "7"),
                                ("dash", lambda style: style.dash + 1, "1"),
                                ("density", lambda style: style.fill, "0.95")):
        pairs = ((f'server eq "{server}"', of(style)) for server, style in known.items())
        yield choice(f"{name}(server)", pairs, otherwise)
