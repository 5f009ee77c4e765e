"""What was asked of files on the command line, and what it comes to: one image's way."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Existing = Literal["refuse", "overwrite", "skip", "in place"]
"""What to do where an output exists."""


class Job:
    """One picture's way.

    A hundred thousand of them lie in memory. Two paths take 700 bytes in Python 3.11, and so
    are made when they are asked for. What is kept is text, and jobs share their folders: 160
    bytes where the output has the input's name, and 230 where it has its own.

    Attributes
    ----------
    source : Path or None
        A file; None is standard input.
    target : Path or None
        A file; None is standard output.
    format : str or None
        What to write; None is the format that the source turns out to have.
    problem : str
        Why it cannot be done, found while looking; empty if it can be tried.
    skip : bool
        The output exists and is to be left alone.
    source_name, target_name : str or None
        `source` and `target` as text.
    """

    __slots__ = ("_folder", "_into", "_name", "_result", "format", "problem", "skip")

    def __init__(
        self,
        source: str | os.PathLike[str] | None,
        target: str | os.PathLike[str] | None,
        format: str | None,  # noqa: A002 - the word of --format
        problem: str = "",
        skip: bool = False,
    ) -> None:
        self._folder, self._name = _split(source)
        self._into, self._result = _split(target)
        if self._result == self._name:
            self._result = self._name
        self.format = format
        self.problem = problem
        self.skip = skip

    @property
    def source(self) -> Path | None:  # noqa: D102 - among the attributes
        return None if self.source_name is None else Path(self.source_name)

    @property
    def target(self) -> Path | None:  # noqa: D102
        return None if self.target_name is None else Path(self.target_name)

    @property
    def source_name(self) -> str | None:  # noqa: D102
        return None if self._name is None else os.path.join(self._folder, self._name)

    @property
    def target_name(self) -> str | None:  # noqa: D102
        return None if self._result is None else os.path.join(self._into, self._result)


def _split(path: str | os.PathLike[str] | None) -> tuple[str, str | None]:
    """Take a path apart; equal folders are one text."""
    if path is None:
        return "", None
    folder, name = os.path.split(path)
    return sys.intern(folder), name


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line, as far as it concerns files.

    `inputs` and `output` are as typed: a trailing slash and "-" mean something. So is
    `shard`, "I/N": the I-th of N equal parts.
    """

    command: str
    inputs: tuple[str, ...] = ()
    files_from: str | None = None
    null: bool = False
    output: str | None = None
    format: str | None = None
    recursive: bool = False
    existing: Existing = "refuse"
    shard: str | None = None
