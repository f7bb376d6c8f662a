#!/usr/bin/env python3
"""Test of common/report/style.py: whether the servers of a plot are told apart, with colours and without. The servers
are this test's own: twelve, in eight families, the largest of four."""
import itertools
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import designs  # noqa: E402
import paths  # noqa: E402
import style  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="style-test-"))
paths.BUILD = FOLDER
FAMILIES = {"01": "a", "02": "b", "03": "c", "04": "d", "04-x": "d", "04-y": "d", "04-z": "d", "05": "e", "05-x": "e",
            "06": "f", "07": "g", "08": "h"}
(FOLDER / "servers.tsv").write_text(
    "name\tchapter\tprogram\targuments\tlabel\tfamily\tcan\n"
    + "".join(f"{name}\t{name[:2]}-x\tx\t\t{name}\t{family}\t\n" for name, family in FAMILIES.items()))


def lightness(colour):
    """L* of CIE 1976, of a colour in sRGB."""
    parts = (int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5))
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    y = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))
    return 116 * y ** (1 / 3) - 16


def test_a_family_has_a_colour_and_its_members_have_dashes():
    known = style.styles()
    for a, b in itertools.combinations(FAMILIES, 2):
        if FAMILIES[a] == FAMILIES[b]:
            tap.equal(known[a].colour, known[b].colour)
            assert known[a].dash != known[b].dash and known[a].fill != known[b].fill, (a, b)


def test_on_grey_paper_families_differ_by_shape_or_clearly_by_lightness():
    known = style.styles()
    shapes = {point: number for number, pair in enumerate(style.SHAPES) for point in pair}
    for a, b in itertools.combinations(FAMILIES, 2):
        if FAMILIES[a] != FAMILIES[b]:
            apart = abs(lightness(known[a].colour) - lightness(known[b].colour))
            assert shapes[known[a].point] != shapes[known[b].point] or apart >= 15, (a, b, apart)


def test_the_first_six_colours_differ_in_lightness():
    levels = sorted(map(lightness, style.INKS[:6]))
    assert all(b - a >= 5 for a, b in zip(levels, levels[1:])), levels
    assert levels[-1] < 80, levels  # to be seen on white


def test_servers_of_others_have_styles_too():
    tap.equal({style.styles()[name].colour for name in designs.PEERS}, {style.GREY})


def test_gnuplot_understands_it():
    if not shutil.which("gnuplot"):
        print("# gnuplot is not installed")
        return
    script = "\n".join([*style.gnuplot(), 'set print "-"',
                        'print sprintf("%06x %d %d %.2f", colour("04-x"), point("04-x"), dash("04-x"), density("04-x"))',
                        'print sprintf("%06x %06x", ink(2), colour("nobody"))'])
    wanted = style.styles()["04-x"]
    out = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, check=True).stdout
    tap.equal(out.splitlines(), [f"{wanted.colour[1:]} {wanted.point} {wanted.dash + 1} {wanted.fill:.2f}",
                                 f"{style.INKS[1][1:]} 000000"])


try:
    tap.run(vars())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
