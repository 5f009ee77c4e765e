"""Images in metadata: a preview or thumbnail shows the image as it was before filtering."""

from __future__ import annotations

import re
from typing import Any

# The start of a JPEG or a PNG, as bytes and in Base64.
_STARTS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|/9j/[24]|iVBORw0KGgo")


def shows_image(content: Any) -> bool:
    """Return whether bytes contain a JPEG or a PNG, also in Base64."""
    return isinstance(content, bytes) and _STARTS.search(content) is not None
