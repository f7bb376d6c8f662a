#!/usr/bin/env python3
"""Test of common/report/registry.py: what is read of the list of servers. It is one of this test's own."""
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import paths  # noqa: E402
import program  # noqa: E402
import registry  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="registry-test-"))
paths.BUILD = FOLDER
LIST = """\
name\tchapter\tprogram\targuments\tlabel\tfamily\tcan
07\t07-one\tchapters/07-one/server\t\t7 one\tone\trest=0
08-odd\t08-two\tchapters/08-two/server\t-w chapters/08-two/odd.py -x\t8 odd\ttwo\trest=all
08\t08-two\tchapters/08-two/server\t\t8 two\ttwo\trest=all hand-over
"""


def listed(text=LIST):
    (FOLDER / "servers.tsv").write_text(text)
    registry.servers.cache_clear()


def test_servers_are_in_the_order_of_the_course_each_chapter_s_own_first():
    listed()
    tap.equal(list(registry.servers()), ["07", "08", "08-odd"])
    tap.equal(registry.of_chapter(pathlib.Path("chapters/08-two")), ["08", "08-odd"])
    tap.equal(registry.of_chapter(pathlib.Path("chapters/09-three")), [])
    tap.equal(registry.label("08-odd"), "8 odd")


def test_an_argument_with_a_slash_is_a_file_of_the_tree():
    listed()
    tap.equal(registry.command("07"), [f"{FOLDER}/chapters/07-one/server"])
    tap.equal(registry.command("08-odd"),
              [f"{FOLDER}/chapters/08-two/server", "-w", f"{tap.ROOT}/chapters/08-two/odd.py", "-x"])


def test_a_server_is_found_by_what_it_can():
    listed()
    tap.equal([registry.first(word) for word in ("rest=0", "rest=all", "hand-over")], ["07", "08", "08"])
    tap.equal(tap.raises(program.Failure, registry.first, "fly"), 'no chapter has a server that can "fly"')


def test_a_list_that_is_not_there_yet_is_one_clear_line():
    (FOLDER / "servers.tsv").unlink(missing_ok=True)
    registry.servers.cache_clear()
    tap.equal(tap.raises(program.Failure, registry.servers), f"{FOLDER}/servers.tsv is not there yet; run: make build")


try:
    tap.run(vars())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
