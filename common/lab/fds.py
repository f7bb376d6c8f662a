#!/usr/bin/env python3
"""fds.py NAME: the table of descriptors of every process of a server, before and after a hand-over.

NAME is a chapter, or one of its servers: 04, 07-pidfd. Those of a chapter without a server are
shown by look in its show.py.
"""
import itertools
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "report"))
import chapters
import program
import registry
import serving
import tables


def named(first, others, roles):
    """These processes by what they are called; those that serve have numbers, as they were born."""
    found, number = {roles.first: first}, itertools.count(1)
    for pid in others:
        called = program.called(pid)
        found[called if called in roles.own else roles.other.format(next(number))] = pid
    return found


def show(name, roles):
    """A server with two workers, before a client has come, while one is served, and after it."""
    with serving.running(registry.command(name), 2) as (process, port):

        def processes():
            return named(process.pid, program.children(process.pid), roles)

        def holders():
            return {who for who, _, what in tables.named(processes()) if "connection" in what}

        def is_served():  # by one who serves, and nobody else has it still
            return len(held := holders()) == 1 and held.isdisjoint({roles.first, *roles.own})

        tables.show(processes(), "before: no client")
        with socket.create_connection(("127.0.0.1", port)):
            program.wait_until(is_served, "the hand-over")
            tables.show(processes(), "a client is connected, and a process has it")
        program.wait_until(lambda: not holders() - {roles.first}, "the end of the connection")
        tables.show(processes(), "after: the client has gone")


def main():
    name, = sys.argv[1:] or sys.exit("usage: fds.py NAME")
    if name in registry.servers():
        show(name, chapters.roles(name.partition("-")[0]))
    else:
        chapters.said(name, "look", "tables of descriptors to show")()


if __name__ == "__main__":
    program.main(main)
