#!/usr/bin/env python3
"""The worker of chapter 7 in another language: descriptor 0 is the queue, queue.h the protocol."""
import contextlib
import os
import select
import signal
import socket
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)    # end quietly on Ctrl-C
try:
    queue = socket.socket(fileno=os.dup(0))     # what Python opens no other program inherits ...
except OSError:
    sys.exit("worker.py: descriptor 0 is not a queue: the server starts this program")
nothing = os.open(os.devnull, os.O_RDONLY)      # ... but it does inherit descriptor 0
os.dup2(nothing, 0)
os.close(nothing)
proved = False
try:
    queue.sendall(b"\0")                        # I have started
    while True:
        try:
            data, descriptors, _, _ = socket.recv_fds(queue, 1, 1)
        except BlockingIOError:                 # another worker has made it so, for all
            select.select([queue], [], [])
            continue
        if not data:                            # the server has gone
            break
        if not descriptors:                     # this process may open no more: one is lost
            heard = select.select([], [2], [], 0)[1]  # a full pipe would hold us up
            sys.exit("worker.py: a message came without a connection" if heard else 1)
        with socket.socket(fileno=descriptors[0]) as connection:
            connection.set_inheritable(False)       # recv_fds sets no close-on-exec
            try:
                while received := connection.recv(65536):
                    connection.sendall(received)
            except OSError:                     # its client's affair
                pass
        if not proved:
            with contextlib.suppress(BlockingIOError):
                queue.send(b"\0", socket.MSG_DONTWAIT)  # I have served one
            proved = True
except ConnectionError:
    pass
