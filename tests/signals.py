"""Signals as a shell leaves them to what runs in front of it."""

from __future__ import annotations

import signal


def attended() -> None:
    """Undo what tests may have got: a shell's ``&`` ignores Ctrl-C, and nohup SIGHUP."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
