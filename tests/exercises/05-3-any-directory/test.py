"""Starts the server in every way that a shell can, by a script that does it."""
from lesson import *

import shutil

begin()
folder = tempfile.TemporaryDirectory()
programs = os.path.dirname(program_path("server"))
LOOK = "server.c, main: where does the path of the worker begin?"


def expect_works(what, script, *arguments, look=LOOK):
    """Runs the script, which starts the server with the arguments "$@", and talks to it. Gives the worker's program."""
    step(what)
    path = os.path.join(folder.name, "start")
    pathlib.Path(path).write_text(f"#!/bin/sh\n{script}\n")
    os.chmod(path, 0o755)
    with Server(path, *arguments, 2, look=look) as server:
        connection = server.connect()
        expect_echo(connection, WORD, look=look)
        return os.readlink(f"/proc/{server.children()[0]}/exe")


expect_works("start the server from the folder in which it lies: ./server", f'cd "{programs}"; exec ./server "$@"')
expect_works("start the server from /, by its whole path", f'cd /; exec "{programs}/server" "$@"')
expect_works("start the server from the folder above, by a path that begins there",
             f'cd "{programs}/.."; exec "{os.path.basename(programs)}/server" "$@"')
expect_works("start the server from /, by its name, with its folder in PATH",
             f'cd /; PATH="{programs}:$PATH"; exec server "$@"',
             look=LOOK + " Found through PATH, what is argv[0]? /proc/PID/exe in proc(5)")
os.symlink(program_path("server"), os.path.join(folder.name, "link"))
expect_works("start the server through a symbolic link in another folder",
             f'cd /; exec "{folder.name}/link" "$@"', look=LOOK + " /proc/PID/exe in proc(5)")

copied = os.path.join(folder.name, "moved to")
os.mkdir(copied)
for name in "server", "worker":
    shutil.copy(program_path(name), copied)
program = expect_works("copy server and worker to another folder, and start the server there",
                       f'cd /; exec "{copied}/server" "$@"')
expect(program == f"{copied}/worker", "the worker to be the one beside the server", f"it is {program}", LOOK)

mine = os.path.join(folder.name, "mine")
shutil.copy(program_path("worker"), mine)
program = expect_works("start the server with option -w and the path of a worker that begins in the current folder",
                       f'cd "{folder.name}"; exec "{programs}/server" "$@"', "-w", "./mine",
                       look="server.c, main: whose current folder is it, and who may change it?")
expect(program == mine, "that worker to be run", f"it is {program}", LOOK)
passed()
