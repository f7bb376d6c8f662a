"""Compares six files with room for all of them, and with room for two."""
from lesson import *

LOOK = "twins.c, where the opener's answer is received: what does recvmsg say when a descriptor was sent, and none " \
       "came? msg_flags in recvmsg(2)"

begin()
folder = tempfile.TemporaryDirectory()
contents = {"a": "first", "b": "second", "c": "third", "d": "fourth", "e": "second", "f": "sixth"}
for name, content in contents.items():
    pathlib.Path(folder.name, name).write_text(content)


def twins(*names, files=64):
    """Runs the program with a limit of descriptors; gives it when it has ended."""
    with Attached("twins", *names, files=files, cwd=folder.name) as program:
        expect(program.wait() is not None, "twins to come to its end", lambda: f"it {program.how_it_ended()}")
        return program.status(), program.out(), program.err(), program.how_it_ended()


step("compare six files, of which b and e are the same")
status, out, err, how = twins(*contents)
expect((status, out, err) == (0, "b and e are the same\n", ""), "twins to say just that, and exit status 0",
       f"it {how}")

step("do the same with a limit of 6 descriptors, which is reached when c is asked for")
status, out, err, how = twins(*contents, files=6)
expect(out == "", "no file to be called the same as another, since not all can be opened", f"it {how}", LOOK)
expect("Too many open files" in err, "the reason: \"twins: c: Too many open files\"", f"it {how}", LOOK)
expect(status == 1, "exit status 1", f"it {how}", LOOK)
expect(re.search(r"\bc: ", err), "the name of the file: \"twins: c: Too many open files\"", f"it {how}", LOOK)

step("do the same with a limit of 10 descriptors, which is just enough")
status, out, err, how = twins(*contents, files=10)
expect((status, out) == (0, "b and e are the same\n"), "twins to say that b and e are the same", f"it {how}",
       "twins.c: is there a descriptor open that is not needed?")

step("ask for a file that is not there")
status, out, err, how = twins("a", "g", "b")
expect(status == 1 and out == "" and "g: No such file or directory" in err,
       "twins to say \"twins: g: No such file or directory\", and exit status 1", f"it {how}",
       "twins.c: the error that the opener sends")
passed()
