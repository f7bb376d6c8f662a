"""Where things are."""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
RESULTS = BUILD / "results"
LOAD = BUILD / "common/load/load"


def built(source):
    """The folder in which is built what lies beside this source: BUILT = paths.built(__file__)."""
    return BUILD / pathlib.Path(source).resolve().parent.relative_to(ROOT)
