"""Compares fifty files with room for all of them, and with room for fewer."""
from lesson import *

LOOK = "twins.c, where the opener's answer is received: what does recvmsg say when a descriptor was sent, and none " \
       "came? msg_flags in recvmsg(2)"

begin()
folder = tempfile.TemporaryDirectory()
NAMES = [f"{number:02}" for number in range(1, 51)]
for name in NAMES:
    pathlib.Path(folder.name, name).write_text("the same" if name in ("07", "29") else name)
TRUE = "07 and 29 are the same\n"


def twins(*names, files=128):
    """Runs the program with a limit of descriptors; gives it when it has ended."""
    with Attached("twins", *names, files=files, cwd=folder.name) as program:
        expect(program.wait() is not None, "twins to come to its end", lambda: f"it {program.how_it_ended()}")
        return program.status(), program.out(), program.err(), program.how_it_ended()


step("compare 50 files, of which 07 and 29 are the same")
status, out, err, how = twins(*NAMES)
expect((status, out, err) == (0, TRUE, ""), "twins to say just that, and exit status 0", f"it {how}")

step("do the same with a limit of 40 descriptors, which is reached when 37 is asked for")
status, out, err, how = twins(*NAMES, files=40)
expect(out in ("", TRUE), "no file to be called the same as one that is different", f"it {how}", LOOK)
expect("Too many open files" in err, "the reason: \"twins: 37: Too many open files\"", f"it {how}", LOOK)
expect(status == 1, "exit status 1", f"it {how}", LOOK)
expect(re.search(r"\b37: ", err), "the name of the file: \"twins: 37: Too many open files\"", f"it {how}", LOOK)
expect(out == "", "nothing else, since not all files were compared", f"it {how}", LOOK)

step("do the same with a limit of 54 descriptors, which is just enough")
status, out, err, how = twins(*NAMES, files=54)
expect((status, out) == (0, TRUE), "twins to say that 07 and 29 are the same", f"it {how}",
       "twins.c: is there a descriptor open that is not needed?")

step("ask for a file that is not there")
status, out, err, how = twins("01", "nowhere", "02")
expect(status == 1 and out == "" and "nowhere: No such file or directory" in err,
       "twins to say \"twins: nowhere: No such file or directory\", and exit status 1", f"it {how}",
       "twins.c: the error that the opener sends")
passed()
