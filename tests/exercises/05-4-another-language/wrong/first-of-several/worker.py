#!/usr/bin/env python3
"""A worker that sends each client the SHA-256 digest of what it has sent: what takes a library in C.

Descriptor 0 is the channel to the server; chapter 4's pool.h has the protocol.
"""
import array
import hashlib
import signal
import socket
import sys


def serve(connection):
    """Reads up to the client's end-of-file, and sends the digest of it in hexadecimal, and a newline."""
    digest = hashlib.sha256()
    while received := connection.recv(65536):
        digest.update(received)
    connection.sendall(digest.hexdigest().encode() + b"\n")


def receive_connection(channel):
    """Returns the next connection, a socket; None when the server has gone."""
    descriptors = array.array("i")
    data, controls, flags, _ = channel.recvmsg(1, socket.CMSG_SPACE(descriptors.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in controls:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content[:len(content) - len(content) % descriptors.itemsize])
    if not data:
        return None
    if not descriptors:
        sys.exit("worker.py: a message came without a connection, or with more than one")
    return socket.socket(fileno=descriptors[0])


def work(channel):
    """Receives connections and serves them, until the server has gone."""
    try:
        channel.sendall(b"\0")  # I am idle
        while (connection := receive_connection(channel)) is not None:
            with connection:
                try:
                    serve(connection)
                except OSError:  # its client's affair
                    pass
            channel.sendall(b"\0")
    except ConnectionError:  # the server has gone, with a report unread
        pass


signal.signal(signal.SIGINT, signal.SIG_DFL)  # end quietly on Ctrl-C
work(socket.socket(fileno=0))
