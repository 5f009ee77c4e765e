"""The program: ``convcli``, or ``python -m convcli``."""

import signal
import sys


def program() -> None:
    """Run the program; while it is imported, Ctrl-C ends it without a traceback.

    The imports take 50 ms and more, and there is nothing to clean up yet.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    try:
        from convcli.cli import started  # the first import, which takes the time

        with started.loading():
            from convcli.cli.program import asks_version, start

            if not asks_version(sys.argv[1:]):
                from convcli.cli import app  # noqa: F401 - Typer, of which the version needs nothing
    except Exception as error:
        # Without memory for its modules Python raises errors of many kinds.
        reason = " ".join(str(error).split()) or type(error).__name__
        sys.exit(f"convcli: cannot be started, perhaps for lack of memory ({reason})")

    start()


if __name__ == "__main__":
    program()
