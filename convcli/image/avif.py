"""The threads of libavif's coders, which fail where the system allows fewer than they ask for."""

from __future__ import annotations

import os

from convcli.pools import REFUSED, try_threads


def choose_threads() -> None:
    """Let Pillow's AVIF coders use all cores, or no thread but their own."""
    from PIL import AvifImagePlugin

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        try_threads(cores or 1)
        AvifImagePlugin.DEFAULT_MAX_THREADS = 0
    except REFUSED:
        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
