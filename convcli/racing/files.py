"""The results of a race as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from convcli.racing.results import Race, Result

BASES = ("dot", "definition")
"""What everybody's speed is shown as a multiple of, as the texts do."""


def speed_beside(base: str, result: Result, results: Sequence[Result]) -> float | None:
    """Return how many times as fast as a contender a result is, for the same picture and kernel.

    None where one of them has no time.
    """
    case = result.height, result.width, result.side
    for other in results:
        if other.contender == base and (other.height, other.width, other.side) == case:
            if other.seconds is None or not result.seconds:
                return None
            return other.seconds / result.seconds
    return None


def rows(race: Race) -> list[dict[str, Any]]:
    """Return every result as a row, with the speeds beside `BASES`."""
    return [
        {name: _known(value) for name, value in asdict(result).items()}
        | {f"times_{base}": speed_beside(base, result, race.results) for base in BASES}
        for result in race.results
    ]


def _known(value: Any) -> Any:
    """Return a value, or None for what is infinite or no number: JSON has neither."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_csv(race: Race) -> bytes:
    """Write a line for each result, seconds and bytes in full; what is unknown is empty."""
    text = io.StringIO()
    table = rows(race)
    writer = csv.DictWriter(text, table[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue().encode()


def as_json(race: Race) -> bytes:
    """Write the machine, the kernel and every result; what is unknown is null."""
    whole = {"machine": race.machine, "kernel": race.kernel, "results": rows(race)}
    return json.dumps(whole, indent=1, allow_nan=False).encode() + b"\n"
