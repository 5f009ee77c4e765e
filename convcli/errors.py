"""The one exception that convcli raises on purpose, and the way a name is shown in it."""

import os


class ConvcliError(ValueError):
    """A value, a kernel or a picture that convcli cannot work with.

    The message is one sentence that names the value and says what is allowed;
    the command line prints it as it is.
    """


def shown(name: str | bytes | os.PathLike[str]) -> str:
    r"""Quote a file name so that printing it can do nothing to a terminal.

    Names are data: control characters, escape sequences, right-to-left marks, newlines
    and bytes that are not text come out as ``\x1b``-style escapes, which is just what
    ``repr`` does to everything that ``str.isprintable`` refuses.
    """
    return repr(os.fsdecode(name))


def inert(text: str) -> str:
    """Escape whatever in a message could move a cursor; libraries put file names in theirs."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def reason_of(error: BaseException) -> str:
    """Say in one line why something failed, without the name, which the caller puts in front."""
    if isinstance(error, ConvcliError):
        return inert(str(error))
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = inert(str(error))
    return text if isinstance(error, (OSError, ValueError)) and text else (
        f"{type(error).__name__}: {text}"
    )  # fmt: skip
