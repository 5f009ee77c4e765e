"""The program: ``convcli``, or ``python -m convcli``."""

import signal


def program() -> None:
    """Run the program; while it is imported, Ctrl-C ends it without a traceback.

    The imports take 50 ms and more, and there is nothing to clean up yet.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    from convcli.cli.program import start

    start()


if __name__ == "__main__":
    program()
