"""What a walk skips, counted by kind for one line. Only names are looked at."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Literal

Kind = Literal[
    "file",
    "earlier result",
    "link to an image",
    "link to a folder",
    "broken link",
    "special file",
]

# Kinds of files that are named; the rest is counted as others.
_MOST_NAMED = 4

# A longer suffix is hardly one: "Notes on St. Petersburg".
_LONGEST = 8

_OTHER = "other"
"""The kind of files whose suffix says nothing, such as ``notes.2024``."""

_USUAL_NAMES = {
    "TXT": "text",
    "MD": "text",
    "JXL": "JPEG XL",
    "JP2": "JPEG 2000",
    "EPS": "PostScript",
    "PS": "PostScript",
}
"""By suffix, where the usual name is another word."""


class Skipped:
    """The counts of a walk; as a string: ``3 files: 1 HEIC, 1 NEF, 1 text; 1 broken link``."""

    def __init__(self, command: str) -> None:
        self._files: Counter[str] = Counter()
        self._others: Counter[Kind] = Counter()
        self._words: dict[Kind, tuple[str, str]] = {
            "earlier result": (f"earlier result of {command}", f"earlier results of {command}"),
            "link to an image": ("link to an image in it", "links to images in it"),
            "link to a folder": ("link to a folder", "links to folders"),
            "broken link": ("broken link", "broken links"),
            "special file": ("special file", "special files"),
        }

    def add(self, kind: Kind, name: str) -> None:
        """Count an entry of a folder."""
        if kind == "file":
            self._files[_kind_of_file(name)] += 1
        else:
            self._others[kind] += 1

    def __bool__(self) -> bool:
        return bool(self._files or self._others)

    def __str__(self) -> str:
        """Return the files by kind, the most frequent first, and then the others."""
        parts = []
        if self._files:
            number = self._files.total()
            parts.append(f"{number} file{'s' * (number != 1)}: {', '.join(self._kinds())}")
        for kind, (one, several) in self._words.items():
            if number := self._others[kind]:
                parts.append(f"{number} {one if number == 1 else several}")
        return "; ".join(parts)

    def _kinds(self) -> list[str]:
        known = [(number, kind) for kind, number in self._files.items() if kind != _OTHER]
        # By name where the counts are equal: a walk meets the files in any order.
        known.sort(key=lambda each: (-each[0], each[1]))
        named = known[:_MOST_NAMED]
        words = [f"{number} {kind}" for number, kind in named]
        if others := self._files.total() - sum(number for number, _ in named):
            words.append(f"{others} other{'s' * (others != 1)}")
        return words


def _kind_of_file(name: str) -> str:
    """Return the kind of a file that is no image, by its name: "HEIC", "text"."""
    if name.startswith("._"):
        return "AppleDouble"
    stem, _, suffix = name.rpartition(".")
    return _kind_of_suffix(suffix) if stem and suffix else "without a suffix"


@lru_cache(maxsize=256)
def _kind_of_suffix(suffix: str) -> str:
    suffix = suffix.upper()
    is_word = suffix.isascii() and suffix.isalnum() and not suffix.isdecimal()
    return _USUAL_NAMES.get(suffix, suffix) if is_word and len(suffix) <= _LONGEST else _OTHER
