"""The program: ``convcli``, or ``python -m convcli``."""

import signal


def program() -> None:
    """Run the program; Ctrl-C ends it silently from here on, as there is nothing to clean up yet.

    Python's own handler would show a traceback of the imports, which take 50 ms and more.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    from convcli.cli.program import start

    start()


if __name__ == "__main__":
    program()
