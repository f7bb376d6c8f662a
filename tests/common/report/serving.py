#!/usr/bin/env python3
"""Test of common/report/serving.py: what a run of the load generator says, and when it says nothing."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import paths  # noqa: E402
import program  # noqa: E402
import serving  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="serving-test-"))


def loaded(status, ok=9, connections=9, unfinished=0, server_us="1.5"):
    """What serving makes of a load that prints such a row and ends with this status: the row, or "failure"."""
    table = f"connections\tok\tunfinished\tserver_us\n{connections}\t{ok}\t{unfinished}\t{server_us}\n"
    file = FOLDER / "load"
    file.write_text(f"#!/bin/sh\nprintf '{table}'\nexit {status}\n")
    file.chmod(0o755)
    paths.LOAD = file
    with subprocess.Popen(["true"]) as process:
        try:
            return serving.load(process, 1)
        except program.Failure:
            return "failure"


def test_what_load_measured_is_a_row():
    tap.equal(loaded(0), {"connections": 9.0, "ok": 9.0, "unfinished": 0.0, "server_us": 1.5})


def test_lost_connections_are_a_result():
    tap.equal(loaded(1, ok=7)["ok"], 7.0)


def test_a_load_that_could_not_go_on_is_a_failure():
    tap.equal(loaded(1, unfinished=1), "failure")
    tap.equal(loaded(1, ok=7, unfinished=1), "failure")
    tap.equal(loaded(1, ok=7, server_us="-"), "failure")
    tap.equal(loaded(1), "failure")


try:
    tap.run(vars())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
