#!/usr/bin/env python3
"""The worker of chapter 5 in another language: descriptor 0 is the channel, pool.h the protocol."""
import signal
import socket
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)    # end quietly on Ctrl-C
channel = socket.socket(fileno=0)
try:
    channel.sendall(b"\0")                      # I am idle
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not data:                            # the master has gone
            break
        if not descriptors:                     # this process may open no more
            sys.exit("worker.py: a message came without a connection")
        with socket.socket(fileno=descriptors[0]) as connection:
            try:
                while received := connection.recv(65536):
                    connection.sendall(received)
            except OSError:                     # its client's affair
                pass
        channel.sendall(b"\0")
except ConnectionError:
    pass
