"""A request for files, as typed, and a job: one input and its output."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convcli.files.urls import is_url

Existing = Literal["refuse", "overwrite", "skip", "newer", "in place"]
"""What to do where an output exists; "newer" keeps those that are not older than their input."""


class Job:
    """One input and its output.

    There may be a hundred thousand of them. Two `Path` objects take 700 bytes in Python 3.11,
    so they are made on demand. Jobs keep strings and share those of folders: 176 bytes where
    the output has the name of the input, and 246 where it does not.

    Attributes
    ----------
    source : Path or None
        A file; None is standard input.
    target : Path or None
        A file; None is standard output.
    format : str or None
        The format of the output; None is the format of the source's content.
    problem : str
        Why the job cannot be done, known before reading; empty if it can be tried.
    skip : bool
        Whether the output exists and should be kept.
    found_in, within : str or None
        The folders that the source and the target have to be in, wherever links lead when they
        are read and written: paths without links. None is any folder.
    parts : tuple of str
        Names of the images that the result is divided into, each in a file of its own: part "x" of
        the target "a.png" is "a.x.png". Empty for a single image.
    source_name, target_name : str or None
        `source` and `target` as strings; a URL is there alone.
    """

    __slots__ = (
        "_folder",
        "_into",
        "_name",
        "_result",
        "format",
        "found_in",
        "parts",
        "problem",
        "skip",
        "within",
    )

    def __init__(
        self,
        source: str | os.PathLike[str] | None,
        target: str | os.PathLike[str] | None,
        format: str | None,  # noqa: A002 - the word of --format
        problem: str = "",
        skip: bool = False,
        *,
        parts: tuple[str, ...] = (),
        found_in: str | None = None,
        within: str | None = None,
    ) -> None:
        self._folder, self._name = _split(source)
        self._into, self._result = _split(target)
        if self._result == self._name:
            self._result = self._name
        self.format = format
        self.problem = problem
        self.skip = skip
        self.parts = parts
        self.found_in = found_in
        self.within = within

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

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all files that the result is written to."""
        name = self.target_name
        if name is None:
            return ()
        return tuple(part_of(name, part) for part in self.parts) or (name,)


def part_of(target: str, part: str) -> str:
    """Return the name of a file that holds a part of the result.

    >>> part_of("maps/photo.png", "x")
    'maps/photo.x.png'
    """
    root, suffix = os.path.splitext(target)
    return f"{root}.{part}{suffix}"


def _split(path: str | os.PathLike[str] | None) -> tuple[str, str | None]:
    """Split a path into folder and name; equal folders share one string."""
    if path is None:
        return "", None
    if isinstance(path, str) and is_url(path):
        return "", path
    folder, name = os.path.split(path)
    return sys.intern(folder), name


@dataclass(frozen=True)
class Request:
    """The part of the command line that concerns files.

    `inputs` and `output` are as typed, because a slash at the end and "-" have a meaning.
    `shard` too: "I/N" is the I-th of N equal parts. `parts` are those of a `Job`. With `flat`
    no folders are made below the output folder, and with `base` those from that folder on; `suffix`
    is added to names, and inputs that fit one of `exclude` are left out.
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
    parts: tuple[str, ...] = ()
    flat: bool = False
    base: str | None = None
    suffix: str | None = None
    exclude: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """What the names of results have before their suffix."""
        return self.suffix or f".{self.command}"
