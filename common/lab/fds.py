#!/usr/bin/env python3
"""fds.py NN: the table of descriptors of every process of chapter NN, before and after a hand-over.

Those of a chapter without a server are shown by look in its show.py.
"""
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "report"))
import chapters
import program
import registry
import serving
import tables


def show(name, roles):
    """A server with two workers, before a client has come, while one is served, and after it."""
    master, other = roles
    with serving.running(registry.command(name), 2) as (process, port):

        def processes():
            others = enumerate(program.children(process.pid), 1)
            return {master: process.pid} | {other.format(number): pid for number, pid in others}

        def holders():
            return {who for who, _, what in tables.named(processes()) if "connection" in what}

        tables.show(processes(), "before: no client")
        with socket.create_connection(("127.0.0.1", port)):
            program.wait_until(lambda: holders() and master not in holders(), "the hand-over")
            tables.show(processes(), "a client is connected, and a process has it")
        program.wait_until(lambda: not holders() - {master}, "the end of the connection")
        tables.show(processes(), "after: the client has gone")


def main():
    number, = sys.argv[1:] or sys.exit("usage: fds.py NN")
    servers = chapters.servers(number)
    if servers:
        show(servers[0], chapters.roles(number))
    else:
        chapters.said(number, "look", "tables of descriptors to show")()


if __name__ == "__main__":
    program.main(main)
