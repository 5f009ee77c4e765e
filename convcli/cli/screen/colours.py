"""Whether a stream shows colours."""

from __future__ import annotations

import os
from typing import TextIO


def has_colours(stream: TextIO | None) -> bool:
    """Say whether a stream is a terminal with colours; NO_COLOR (no-color.org) is respected."""
    if stream is None or not stream.isatty():
        return False
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
