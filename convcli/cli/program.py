"""The program as a process: its streams, its signals, and its exit status."""

from __future__ import annotations

import errno
import faulthandler
import io
import os
import signal
import sys
import threading
import warnings
from contextlib import suppress
from types import FrameType
from typing import Any

import typer

from convcli.cli.app import app
from convcli.errors import ConvcliError, inert, reason_of

# Typer keeps the base class of its usage errors private; it is the parent of this public one.
_UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]

_FATAL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What a stream is refused by; pictures are told of by their names.
_FULL = (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG, errno.EDQUOT)
# A second in all is what people take for at once; half of it is for the exit itself.
_PATIENCE_SECONDS = 0.5


def start() -> None:
    """Run the program, and end the process.

    All is written and said by then. To take modules and memory apart one by one would keep the
    caller waiting for another 20 ms.
    """
    _keep_streams()
    try:
        main()
    except SystemExit as leaving:
        # Processes leave temporary files, which are removed at exit.
        if "multiprocess" not in sys.modules and isinstance(leaving.code, int):
            with suppress(OSError):
                sys.stderr.flush()
            os._exit(leaving.code)
        raise


class _Unfailing(io.FileIO):
    """Standard error, which may be full or have no reader: that must not stop the work."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def _keep_streams() -> None:
    """Keep what libraries in C say, which is written to descriptor 2, away from what we say.

    libtiff would break the bar, and say things that are said again in one line with the name of
    the picture. `--debug` shows them.
    """
    # The numbers of streams that are closed (`2>&-`) would be given to the next files opened,
    # and such messages be written into a picture.
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    if sys.stderr and "--debug" not in sys.argv:
        ours = io.BufferedWriter(_Unfailing(os.dup(2), "w"))
        os.dup2(nowhere, 2)
        encoding, errors = sys.stderr.encoding, sys.stderr.errors
        # rich asks the second of them how wide the terminal is.
        sys.stderr = sys.__stderr__ = io.TextIOWrapper(  # type: ignore[misc]
            ours, encoding, errors, line_buffering=True
        )
        if faulthandler.is_enabled():
            faulthandler.enable(sys.stderr)
    os.close(nowhere)


def main() -> None:
    """Run the program; every failure that a user can cause ends in one line."""
    # numpy's linear algebra would start a thread a core: 35 ms, and what is asked of it here
    # (the factors of a kernel, luminance) is too small for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if not sys.warnoptions:
        # Pillow warns of damaged EXIF data, in two lines and with a line of its source.
        warnings.simplefilter("ignore")
    # A stream that was closed (`<&-`) is None; what is read from it or said to it is nothing.
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - open to the end
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 - open to the end
    for number in _FATAL:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and `&` have it
            signal.signal(number, _leave)
    status = _status()
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        # It was said already; flushing at exit must not fail again, and aloud.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if status - 128 in _FATAL:
        _die(status - 128)
    sys.exit(status)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End by way of every ``finally``, which stop workers; or without, if that takes long."""
    for each in _FATAL:
        if signal.getsignal(each) is _leave:
            signal.signal(each, signal.SIG_DFL)  # asked a second time, end at once
    # A thread that filters cannot be stopped, and the end of the program would wait for it.
    deadline = threading.Timer(_PATIENCE_SECONDS, _die, (number,))
    deadline.daemon = True
    with suppress(RuntimeError):  # the system allows no more threads
        deadline.start()
    raise SystemExit(128 + number)


def _die(number: int) -> None:
    """Die of the signal, so that a shell's loop around this stops too."""
    from convcli.files.writing import remove_unfinished

    remove_unfinished()
    os.kill(os.getpid(), number)


def _status() -> int:
    """Carry out the command line and return the exit status."""
    try:
        return app(prog_name="convcli", standalone_mode=False) or 0
    except ConvcliError as error:
        return _refused(str(error))
    except _UsageError as error:
        message = error.format_message()
        is_help = message.startswith("Usage:")
        hint = f" (see '{error.ctx.command_path} --help')" if error.ctx and not is_help else ""
        return _refused(message + hint)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    except Exception as error:
        # Standard output is full, the folder that this runs in is gone, or a bug.
        if "--debug" in sys.argv:
            raise
        more = "" if isinstance(error, OSError) else "; --debug shows where"
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            more = " (standard output)"
        if isinstance(error, ImportError) and error.msg:  # numpy's is a page; the last line is why
            error = ImportError(error.msg.rstrip().rpartition("\n")[2])
        typer.echo(f"convcli: {reason_of(error)}{more}", err=True)
        return 1


def _refused(message: str) -> int:
    """Print why nothing was touched; a list of commands, for no arguments, is printed as it is."""
    if message.startswith("Usage:"):
        typer.echo(message, err=True)
    else:
        one_line = " ".join(inert(line.strip()) for line in message.splitlines())
        typer.echo(f"convcli: {one_line}", err=True)
    return 2
