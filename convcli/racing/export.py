"""The results of a race as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from typing import Any

from convcli.racing.results import BASES, Race, speed_beside


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
