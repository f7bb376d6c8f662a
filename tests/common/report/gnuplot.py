#!/usr/bin/env python3
"""Test of common/report/gnuplot.py. In place of the real gnuplot stands one that fails."""
import os
import pathlib
import shutil
import sys
import tempfile
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import gnuplot  # noqa: E402
import paths  # noqa: E402
import program  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="gnuplot-test-"))
shutil.copy(paths.BUILD / "servers.tsv", FOLDER)
paths.BUILD, paths.RESULTS = FOLDER, FOLDER / "results"


def put_gnuplot(script):
    """A gnuplot of our own, in front of the PATH."""
    folder = FOLDER / "bin"
    folder.mkdir(exist_ok=True)
    executable = folder / "gnuplot"
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_a_picture_that_fails_leaves_the_old_one():
    picture = paths.RESULTS / "picture"
    paths.RESULTS.mkdir(exist_ok=True)
    (paths.RESULTS / "picture.svg").write_text("old")
    # Writes half a picture where it is told to, and fails.
    script = "out=$(printf %s \"$2\" | sed \"s/.*out='//; s/'.*//\"); echo half >\"$out\"; echo no such font >&2; exit 1"
    with unittest.mock.patch.dict(os.environ, put_gnuplot(script)):
        text = tap.raises(program.Failure, lambda: gnuplot.draw("x.gp", "data", picture))
    assert "no such font" in text, text
    tap.equal((paths.RESULTS / "picture.svg").read_text(), "old")


try:
    tap.run(vars())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
