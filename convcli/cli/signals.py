"""Signals that end the program: Ctrl-C, SIGTERM and SIGHUP; on Windows Ctrl-Break, too."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
FATAL = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))

# An exit within a second feels immediate; half of it is for the exit itself.
_PATIENCE_SECONDS = 0.5

# Called with the number of a signal instead of raising SystemExit, while that is deferred.
_on_signal: Callable[[int], None] | None = None


def handle() -> None:
    """Let each of these signals raise `SystemExit`, unless it is ignored as under nohup."""
    for number in FATAL:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)


@contextmanager
def deferred() -> Iterator[threading.Event]:
    """Within this block a signal sets the event; `SystemExit` is raised at the end of the block.

    A block that looks at the event can finish what it is doing, such as the line it prints. It
    has half a second.
    """
    global _on_signal
    interrupted = threading.Event()
    numbers: list[int] = []

    def note(number: int) -> None:
        numbers.append(number)
        interrupted.set()

    _on_signal = note
    try:
        yield interrupted
    finally:
        _on_signal = None
    if numbers:
        raise SystemExit(128 + numbers[0])


def die(number: int) -> None:
    """Die of the signal, so that a shell's loop around the program stops too."""
    from convcli.files.writing import remove_unfinished

    remove_unfinished()
    if sys.platform == "win32":  # no shell would see a signal there
        os._exit(128 + number)
    os.kill(os.getpid(), number)


def _leave(number: int, _frame: FrameType | None) -> None:
    """Unwind the program, so that every ``finally`` stops its workers, but not for long."""
    for each in FATAL:
        if signal.getsignal(each) is _leave:
            signal.signal(each, signal.SIG_DFL)  # a second signal ends the program at once
    # A thread deep in C code cannot be stopped, and the exit would wait for it.
    deadline = threading.Timer(_PATIENCE_SECONDS, die, (number,))
    deadline.daemon = True
    with suppress(RuntimeError):  # the system allows no more threads
        deadline.start()
    if _on_signal is None:
        raise SystemExit(128 + number)
    _on_signal(number)
