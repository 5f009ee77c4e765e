"""URLs of images, such as s3://bucket/image.zarr; see `convcli.sources.remote`."""

from __future__ import annotations

import re

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://.")


def is_url(name: str | None) -> bool:
    """Return whether a name is a URL; a Windows drive has one letter.

    >>> is_url("s3://bucket/a.zarr"), is_url("a.zarr"), is_url("c://a.zarr")
    (True, False, False)
    """
    return name is not None and _URL.match(name) is not None


def last_part(url: str) -> str:
    """Return the name at the end of a URL.

    >>> last_part("https://example.org/images/a.zarr/?version=2")
    'a.zarr'
    """
    return url.partition("?")[0].rstrip("/").rpartition("/")[2]
