"""Draws plots with gnuplot."""
import pathlib
import subprocess

import paths
import program
import results
import style


def gnuplot_value(value):
    """A value as gnuplot writes it: a number, or a string in single quotes."""
    return str(value) if isinstance(value, float) else "'" + str(value).replace("'", "''") + "'"


def draw(script, data, picture, **settings):
    """Draws with gnuplot: PICTURE.svg and PICTURE.png."""
    folder = paths.ROOT / "common/report"
    styles = results.scratch() / "styles.gp"
    styles.write_text("\n".join(style.gnuplot()) + "\n")

    def gnuplot(kind, out):
        values = settings | {"data": data, "lib": folder, "kind": kind, "out": out}
        assign = "; ".join(f"{name}={gnuplot_value(value)}" for name, value in values.items())
        command = ["gnuplot", "-e", assign, styles, folder / "style.gp", folder / script]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise program.Failure(f"gnuplot {script}: {result.stderr.strip()}")

    for kind in ("svg", "png"):
        with results.written(pathlib.Path(f"{picture}.{kind}")) as part:
            gnuplot(kind, part)
