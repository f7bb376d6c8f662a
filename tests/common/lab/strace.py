#!/usr/bin/env python3
"""Test of common/lab/strace.py: how the line of a call is made to fit."""
import os
import pathlib
import sys
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path[:0] = [str(tap.ROOT / "common/lab"), str(tap.ROOT / "common/report")]
import strace  # noqa: E402

SENT = ('sendmsg(5, {msg_iov=[{iov_base="\\0", iov_len=1}], msg_control=[{cmsg_level=SOL_SOCKET, '
        'cmsg_type=SCM_RIGHTS, cmsg_data=[7]}]}, MSG_NOSIGNAL) = 1')


def fitted(width, call):
    with unittest.mock.patch.dict(os.environ, {"COLUMNS": str(width)}):
        return strace.fitted("master", call).splitlines()


def test_a_call_that_fits_is_shown_whole():
    tap.equal(fitted(160, SENT), ["master   " + SENT])
    tap.equal(fitted(80, "close(5) = 0"), ["master   close(5) = 0"])


def test_of_a_message_that_does_not_the_descriptor_is_shown():
    tap.equal(fitted(80, SENT),
              ["master   sendmsg(5, {... SCM_RIGHTS, cmsg_data=[7]}, MSG_NOSIGNAL) = 1"])


def test_a_signal_is_shown_by_its_name():
    tap.equal(strace.short('read(3, "\\21\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0,\\"\\0\\0"..., 128) = 128'),
              "read(3, {SIGCHLD}, 128) = 128")
    tap.equal(strace.short('read(3, "", 1)  = 0'), 'read(3, "", 1) = 0')


def test_what_still_does_not_goes_on_in_the_next_line():
    call = 'execve("/a/path/of/some/length/to/a/worker", ["/a/path/of/some/length/to"...]) = 0'
    lines = fitted(80, call)
    tap.equal(lines, ['master   execve("/a/path/of/some/length/to/a/worker",',
                      '             ["/a/path/of/some/length/to"...]) = 0'])


tap.run(vars())
