"""The chapters' servers: build/servers.tsv, which make writes from the chapters' programs.mk."""
import collections
import functools

import paths
import program

# A row. chapter is the name of its folder; what it can are words that tests/servers/subject.h
# explains.
Server = collections.namedtuple("Server", "name chapter program arguments label family can")


@functools.cache
def servers():
    """All of them by name, in the order of the course.

    Of a chapter its own comes first, which is called by the number alone.
    """
    path = paths.BUILD / "servers.tsv"
    try:
        header, *rows = (line.split("\t") for line in path.read_text().splitlines())
    except FileNotFoundError:
        raise program.Failure(f"{path} is not there yet; run: make build") from None
    found = [Server(**dict(zip(header, row))) for row in rows]
    found.sort(key=lambda server: (server.chapter, "-" in server.name))
    return {server.name: server._replace(arguments=server.arguments.split(), can=server.can.split())
            for server in found}


def of_chapter(room):
    """The names of the servers of the chapter in this folder, its own first."""
    return [server.name for server in servers().values() if server.chapter == room.name]


def first(word):
    """The name of the first server of the course that can this."""
    for server in servers().values():
        if word in server.can:
            return server.name
    raise program.Failure(f"no chapter has a server that can \"{word}\"")


def label(name):
    """What tables and plots call it."""
    return servers()[name].label


def command(name):
    """What starts it."""
    server = servers()[name]
    return [str(paths.BUILD / server.program),
            *(str(paths.ROOT / word) if "/" in word else word for word in server.arguments)]
