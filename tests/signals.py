"""Signals as a shell sets them for a program in the foreground."""

from __future__ import annotations

import signal


def attended() -> None:
    """Reset signals that may be ignored: a shell's ``&`` ignores Ctrl-C, and nohup SIGHUP."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
