#!/usr/bin/env python3
"""A worker that sends each client the SHA-256 digest of what it has sent: what takes a library in C.

Descriptor 0 is the channel to the server; chapter 4's pool.h has the protocol. What is done with a
connection is written below; how one is received is not.
"""
import errno
import hashlib
import signal
import socket


def serve(connection):
    """Reads up to the client's end-of-file, and sends the digest of it in hexadecimal, and a newline."""
    digest = hashlib.sha256()
    while received := connection.recv(65536):
        digest.update(received)
    connection.sendall(digest.hexdigest().encode() + b"\n")


def work(channel):
    """Receives connections and serves them, until the server has gone."""
    channel.sendall(bytes([errno.ENOSYS]))  # I cannot start: this is still to be written


signal.signal(signal.SIGINT, signal.SIG_DFL)  # end quietly on Ctrl-C
work(socket.socket(fileno=0))
