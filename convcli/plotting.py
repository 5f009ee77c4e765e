"""What all plots by matplotlib share: the check for it, its settings, files without a date."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from convcli.errors import ConvcliError, reason_of, shown
from convcli.ownership import own_home
from convcli.words import listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The formats, by suffix, with metadata that omits the date: the same plot gives the same file.
_UNDATED: dict[str, dict[str, Any]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
FORMATS = tuple(_UNDATED)
"""The suffixes of the formats that `save` writes."""


def check(path: Path | None = None) -> None:
    """Raise `ConvcliError` if matplotlib is missing or broken, or the suffix not in `FORMATS`."""
    if path is not None and path.suffix.lower() not in FORMATS:
        raise ConvcliError(f"{shown(path)}: the name of a plot must end in {listed(FORMATS)}")
    if find_spec("matplotlib") is None:
        raise ConvcliError(
            "drawing needs matplotlib, which is not installed; pip install matplotlib"
        )
    # It prints warnings of its own about cache folders that it cannot write to.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        with own_home():  # importing it makes folders for settings and a list of fonts
            import matplotlib.figure  # noqa: F401 - its parts are imported meanwhile
    except Exception as error:  # a broken package may raise anything
        raise ConvcliError(
            f"drawing needs matplotlib, which cannot be imported ({reason_of(error)}); reinstall it"
        ) from None


@contextmanager
def settings(own: Mapping[Any, Any]) -> Iterator[None]:
    """Use matplotlib's defaults and `own` instead of a matplotlibrc, and restore all afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "text.parse_math": False,  # a name may contain dollar signs
                "svg.hashsalt": "convcli",  # otherwise ids are random
                **own,
            }
        )
        yield


def save(figure: Figure, file: BinaryIO, suffix: str, dpi: int = 100) -> None:
    """Write a figure in the format of a suffix, a key of `FORMATS`, without the date."""
    figure.savefig(file, format=suffix.removeprefix("."), dpi=dpi, metadata=_UNDATED[suffix])
