"""Runs servers, and loads them."""
import contextlib
import os
import re
import shlex
import subprocess

import paths
import program
import turns


@contextlib.contextmanager
def running(command, workers=8, **options):
    """Runs a server on a free port; gives its process and port; ends it and looks how it ended."""
    command = [*command, "-p", "0", str(workers)]
    options = {"stdout": subprocess.PIPE, "text": True} | options
    with program.started(command, **options) as process, process.stdout:
        ready = re.match(r"listening on .*:(\d+),", process.stdout.readline())
        if not ready:
            raise program.Failure(f"{shlex.join(command)} did not start")
        yield process, int(ready[1])


def with_memory(mib):
    """An environment in which a server has so many MiB in use besides its own: see ballast.c."""
    library = paths.BUILD / "common/report/ballast.so"
    # By its bare name: where the path of a library has a blank, LD_PRELOAD takes it for two.
    preload = {"LD_LIBRARY_PATH": str(library.parent), "LD_PRELOAD": library.name}
    return os.environ | (preload | {"BALLAST_MIB": str(mib)} if mib else {})


def load(process, port, *options):
    """One run of the load generator against a server. Gives its table's row as a dictionary."""
    command = [str(paths.LOAD), "-T", "-p", str(port), "-P", str(process.pid), *map(str, options)]
    if turns.HASTE and "-n" in options:
        command += ["-n", str(min(600, options[options.index("-n") + 1]))]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = result.stdout.splitlines()
    failure = program.Failure(f"{shlex.join(command)} ended with status {result.returncode}")
    if len(lines) != 2:
        raise failure
    row = dict(zip(lines[0].split("\t"), lines[1].split("\t")))
    # Connections that were lost are a result; what a load measured that could not go on is none.
    could_not = row["unfinished"] != "0" or row["server_us"] == "-"
    if could_not or (result.returncode != 0 and row["ok"] == row["connections"]):
        raise failure
    return {key: float(value) for key, value in row.items()}
