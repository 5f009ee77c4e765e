"""Columns beyond the edges, filled in on the rows of a coarser grid: these are few."""

from __future__ import annotations

import numpy as np

from convcli.pixels.borders import INDEX_OF
from convcli.pixels.source import Span
from convcli.running.recipe import Recipe
from convcli.types import Floats


class Beside:
    """The columns that a wide Gaussian needs for some columns of its result.

    Attributes
    ----------
    read, halo : (int, int)
        Columns to read from the image, and how many to read beside them: none, where all that lie
        beyond the edges are found among those inside.
    width : int
        How many there are in all.
    left : int
        How many of them come before those that are read.
    """

    def __init__(self, recipe: Recipe, columns: Span, width: int) -> None:
        _, _, before, after = recipe.reach
        first, end = columns[0] - before, columns[1] + after
        self.width = end - first
        self.read, self.halo = (max(first, 0), min(end, width)), (0, 0)
        index = INDEX_OF[recipe.border](np.arange(first, end), width)
        if ((index >= 0) & ((index < self.read[0]) | (index >= self.read[1]))).any():
            self.read, self.halo = columns, (before, after)
        self.left = self.read[0] - self.halo[0] - first
        self._value = recipe.border_value
        there = self.read[1] - self.read[0] + sum(self.halo)
        outside = slice(0, self.left), slice(self.left + there, self.width)
        self._beyond = [
            (at, None if recipe.border == "constant" else index[at] - self.read[0] + self.left)
            for at in outside
            if at.stop > at.start
        ]

    def fill(self, rows: Floats) -> None:
        """Fill in the columns that were not read."""
        for at, found in self._beyond:
            rows[:, at] = self._value if found is None else rows[:, found]
