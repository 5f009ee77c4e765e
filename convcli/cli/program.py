"""The program as a process: it starts, runs one command, and ends with an exit status."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from typing import Any

from convcli import __version__
from convcli.cli import endings, signals, started, streams
from convcli.cli.screen import lines
from convcli.errors import ConvcliError, inert, reason_of

# What shells report of a program that SIGPIPE ended: 128 + 13.
_PIPE_CLOSED = 141

# What errors without a file name are about: a full or closed stream, or a folder that is gone.
_NAMELESS: dict[int | None, str] = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG, errno.EDQUOT), " (standard output)"
    ),
    errno.ENOENT: " (the current folder)",
}


def start() -> None:
    """Run the program and end the process.

    At the end everything is written. Taking modules and memory apart would keep the caller
    waiting for another 20 ms.
    """
    streams.keep_apart()
    endings.watch()
    endings.check_numpy_fits()
    try:
        main()
    except SystemExit as leaving:
        endings.leave(leaving.code if isinstance(leaving.code, int) else 1)
    except BaseException:  # --debug shows it
        import traceback  # takes 2 ms

        traceback.print_exc()
        endings.leave(endings.status_of_failure())


def main() -> None:
    """Run the program; every failure that a user can cause is reported in one line."""
    # numpy's linear algebra would start a thread for each core, which takes 35 ms. Its work here
    # (factoring a kernel, luminance) is too small for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if not sys.warnoptions:
        # Pillow's warning of damaged EXIF data is two lines, one of them of its source.
        warnings.simplefilter("ignore")
    streams.replace_closed()
    streams.escape_unknown()
    streams.show_colours()
    signals.handle()
    status = _status()
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader closed the pipe, as `| head` does
            status = status or _PIPE_CLOSED
        # Any other error was reported before; flushing at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if status - 128 in signals.FATAL:
        signals.die(status - 128)
    sys.exit(status)


def _status() -> int:
    """Carry out the command line and return the exit status."""
    given: dict[str, bool] = {}  # --debug is set in it, by the commands that have the option
    words = sys.argv[1:]
    try:
        if asks_version(words):
            print(f"convcli {__version__}", flush=True)
            return 0
        with started.loading():
            from convcli.cli.app import COMMANDS, app_for

            if words[:1] == ["help"]:
                from convcli.cli import topics

                wanted = topics.asked(words[1:], [*COMMANDS])
                if wanted is None:
                    return 0
                words = wanted
            app = app_for(words)
        return app(words, prog_name="convcli", standalone_mode=False, obj=given) or 0
    except ConvcliError as error:
        return _refused(str(error))
    except BrokenPipeError:
        return _PIPE_CLOSED
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # Click makes 1 of it
            return _PIPE_CLOSED
        return leaving.code if isinstance(leaving.code, int) else 1
    except Exception as error:
        # Typer's usage errors share a public class, `typer.TyperException`, from 0.28 on only.
        if hasattr(error, "format_message"):
            return _wrong_usage(error)
        if given.get("debug"):
            raise
        # Standard output is full, the working folder is gone, or there is a bug.
        if isinstance(error, OSError):
            more = "" if error.filename else _NAMELESS.get(error.errno, "")
        else:
            more = "; --debug shows the traceback" if "debug" in given else ""
        if isinstance(error, ImportError) and error.msg:  # numpy's fills a page and ends in why
            error = ImportError(error.msg.rstrip().rpartition("\n")[2])
        _say(lines.error(f"{reason_of(error)}{more}"))
        return endings.status_of_failure()


def asks_version(words: list[str]) -> bool:
    """Return whether the version alone is asked for: with Typer that takes 48 ms instead of 26."""
    return words in (["--version"], ["-V"])


def _wrong_usage(error: Any) -> int:
    """Print what is wrong with the command line, or the list of commands if it is empty."""
    from convcli.cli.usage import sentence

    message, context = sentence(error), getattr(error, "ctx", None)
    if message.startswith("Usage:"):
        _say(message)
        return 2
    hint = f" (see '{context.command_path} --help')" if context else ""
    return _refused(message + hint)


def _refused(message: str) -> int:
    """Print in one line why nothing was done."""
    one_line = " ".join(inert(line.strip()) for line in message.splitlines())
    _say(lines.error(one_line))
    return 2


def _say(text: str) -> None:
    print(text, file=sys.stderr)
