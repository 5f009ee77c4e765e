"""What drawings by matplotlib share: whether it is there, its settings, files without a date."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from convcli.errors import ConvcliError, reason_of, shown
from convcli.words import listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The formats, by suffix, and what leaves the date out: the same drawing gives the same file.
_UNDATED: dict[str, dict[str, Any]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
FORMATS = tuple(_UNDATED)
"""What `save` writes, by suffix."""


def check(path: Path | None = None) -> None:
    """Raise `ConvcliError` if matplotlib is missing or broken, or a suffix not in `FORMATS`."""
    if path is not None and path.suffix.lower() not in FORMATS:
        raise ConvcliError(f"{shown(path)}: the name of a plot ends in {listed(FORMATS)}")
    if find_spec("matplotlib") is None:
        raise ConvcliError(
            "drawing needs matplotlib, which is not installed; pip install matplotlib"
        )
    # It warns of folders that it cannot write to, in lines of its own.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib.figure  # noqa: F401
    except Exception as error:  # a package may raise what it likes
        raise ConvcliError(
            f"drawing needs matplotlib, which cannot be imported ({reason_of(error)})"
        ) from None


@contextmanager
def settings(own: Mapping[Any, Any]) -> Iterator[None]:
    """Draw by matplotlib's defaults and `own`, whatever a matplotlibrc says; leave all as found."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "text.parse_math": False,  # a name may have dollar signs
                "svg.hashsalt": "convcli",  # else ids are different each time
                **own,
            }
        )
        yield


def save(figure: Figure, file: BinaryIO, suffix: str, dpi: int = 100) -> None:
    """Write a figure in the format of a suffix, a key of `FORMATS`, without the date."""
    figure.savefig(file, format=suffix.removeprefix("."), dpi=dpi, metadata=_UNDATED[suffix])
