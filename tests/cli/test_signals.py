"""Signals: the program unwinds, at once or at the end of a block, and never takes long."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests.signals import attended

CODE = """
import os, signal, time
from convcli.cli import signals
signals.handle()
try:
    {block}
finally:
    print("unwound", flush=True)
"""
SEND = "os.kill(os.getpid(), {number}); {more}print('went on', flush=True)"


def ended(block, prepare=attended):
    """Run a block in a process of its own; return its exit status, output and seconds."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", CODE.replace("{block}", block)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        preexec_fn=prepare,
    )
    return done.returncode, done.stdout.splitlines(), time.monotonic() - start


def sent(number, more=""):
    return SEND.replace("{number}", str(int(number))).replace("{more}", more)


FATAL = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", FATAL)
def test_a_signal_unwinds_at_once(number):
    status, out, _ = ended(sent(number))
    assert (status, out) == (128 + number, ["unwound"])


@pytest.mark.parametrize("number", FATAL)
def test_a_deferred_signal_unwinds_at_the_end_of_the_block(number):
    see = "assert interrupted.is_set(); "
    status, out, _ = ended(f"with signals.deferred() as interrupted: {sent(number, see)}")
    assert (status, out) == (128 + number, ["went on", "unwound"])


def test_after_the_block_a_signal_unwinds_at_once():
    status, out, _ = ended(f"with signals.deferred(): pass\n    {sent(signal.SIGTERM)}")
    assert (status, out) == (143, ["unwound"])


@pytest.mark.parametrize("way", ["", "with signals.deferred(): "])
def test_a_block_that_takes_long_is_ended(way):
    wait = "\n    ".join(["try:", f"    {way}{sent(signal.SIGINT, 'time.sleep(30); ')}",
                          "finally: time.sleep(30)"])  # fmt: skip
    status, out, seconds = ended(wait)
    assert (status, out) == (-signal.SIGINT, [])
    assert seconds < 10


def test_a_signal_that_was_ignored_stays_so():
    def under_nohup():
        attended()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    status, out, _ = ended(sent(signal.SIGHUP), under_nohup)
    assert (status, out) == (0, ["went on", "unwound"])
