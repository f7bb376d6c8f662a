#!/usr/bin/env python3
"""Test of common/report/growth.py: where its axes end, and who gets the ballast."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import program  # noqa: E402
import registry  # noqa: E402
import serving  # noqa: E402
import growth  # noqa: E402


def test_sizes_have_units():
    tap.equal([growth.point_text("bytes", size) for size in (1, 64, 1024, 16384, 1 << 20)], ["1 B", "64 B", "1 KiB", "16 KiB", "1 MiB"])
    tap.equal(growth.point_text("workers", 1024), "1024")


def test_the_most_workers_are_those_that_one_more_is_refused_of():
    most = growth.most_workers()
    refused = subprocess.run([*registry.command(registry.first("select")), "-p", "0", str(most + 1)], capture_output=True, text=True, check=False)
    tap.equal(refused.returncode, 1)
    assert f"at most {most} " in refused.stderr, refused.stderr


def own_kib(pid):
    return int(re.search(r"^RssAnon:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def test_the_master_has_the_ballast_and_a_worker_by_exec_has_not():
    # If it is built with that.
    environment = serving.with_memory(64) | {"ASAN_OPTIONS": "verify_asan_link_order=0"}
    with serving.running(registry.command(registry.first("exec")), 2, env=environment) as (process, _):
        pids = program.descendants()
        tap.equal(len(pids), 3)
        assert own_kib(process.pid) >= 64 << 10
        for worker in set(pids) - {process.pid}:
            assert own_kib(worker) < 64 << 10, own_kib(worker)
            tap.equal([name for name in ("LD_PRELOAD", "BALLAST_MIB")
                       if name.encode() in pathlib.Path(f"/proc/{worker}/environ").read_bytes()], [])


tap.run(vars())
