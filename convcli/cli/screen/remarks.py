"""The notes of a batch: each once, with the number of images that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# A number by itself: the 3 of "3 extra samples" and the 10 of "10-bit", not the 16 of "I;16". It is
# compiled, in 0.5 ms, when there is a note.
_NUMBER = r"(?<![\w.;])\d+(?:\.\d+)?(?![\w.]*\w)"


@dataclass
class _Kind:
    """Notes that differ in their numbers at most: the first, their count, and each number."""

    name: str
    note: str
    images: int = 0
    numbers: list[set[str]] = field(default_factory=list)


class Remarks:
    """Counts the notes of a batch, so that a thousand equal ones are a line."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def add(self, name: str, notes: Iterable[str]) -> None:
        """Count the notes on an image."""
        for note in notes:
            kind = self._kinds.setdefault(re.sub(_NUMBER, "0", note), _Kind(name, note))
            kind.images += 1
            found = re.findall(_NUMBER, note)
            kind.numbers = kind.numbers or [set() for _ in found]
            for numbers, number in zip(kind.numbers, found, strict=True):
                # The least and the greatest are enough.
                some = sorted({*numbers, number}, key=float)
                numbers.clear()
                numbers.update((some[0], some[-1]))

    def all(self) -> list[tuple[str, str]]:
        """Return what each kind of note is about, and its text, the most frequent first.

        ``("40 images", "converted mode P to RGB")``, or the name of the image if it is only one.
        """
        return [
            (kind.name if kind.images == 1 else f"{kind.images} images", _text(kind))
            for kind in sorted(self._kinds.values(), key=lambda kind: -kind.images)
        ]


def _text(kind: _Kind) -> str:
    """Return the note, with a range where its numbers differ: ``dropped 1 to 3 samples``."""
    ranges = (" to ".join(sorted(numbers, key=float)) for numbers in kind.numbers)
    return re.sub(_NUMBER, lambda _: next(ranges), kind.note)
