"""The exception that convcli raises, and how names and reasons are shown in messages."""

import os
import sys

# What glibc's loader reports where a library does not fit.
_DOES_NOT_FIT = "failed to map segment from shared object"


class ConvcliError(ValueError):
    """An invalid value, kernel, image or request.

    The message is one sentence: what is wrong, and what is allowed or what to do. The command
    line prints it unchanged.
    """


class NeedsWholeError(ConvcliError):
    """A filter or an image that cannot be done in parts."""


def shown(name: str | bytes | os.PathLike[str]) -> str:
    r"""Quote a file name so that printing it cannot change a terminal.

    Control characters, escape sequences, right-to-left marks, newlines and bytes that are not
    text become escapes such as ``\x1b``: ``repr`` escapes all that is not `str.isprintable`.
    Backslashes between the folders of Windows stay single.
    """
    text = repr(os.fsdecode(name))
    return text.replace("\\\\", "\\") if sys.platform == "win32" else text


def inert(text: str) -> str:
    """Escape what is not printable in a message; those of libraries may contain file names."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def lacks_memory(error: BaseException) -> bool:
    """Whether something failed for lack of memory, which not only `MemoryError` reports."""
    return isinstance(error, MemoryError) or _DOES_NOT_FIT in str(error)


def reason_of(error: BaseException) -> str:
    """Return in one line why something failed; the caller adds what failed."""
    if isinstance(error, ConvcliError):
        return inert(str(error))
    if lacks_memory(error):
        return "needs more memory than there is"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = inert(str(error))
    return text if isinstance(error, (OSError, ValueError)) and text else (
        f"{type(error).__name__}: {text}"
    )  # fmt: skip
