"""Where things are."""
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "common"))
import mine  # noqa: E402

BUILD = ROOT / os.environ.get("BUILD", "build")
RESULTS = mine.FOLDER / "results"  # of all measurements: they are the reader's
LOAD = BUILD / "common/load/load"


def built(source):
    """The folder in which is built what lies beside this source: BUILT = paths.built(__file__)."""
    return BUILD / pathlib.Path(source).resolve().parent.relative_to(ROOT)
