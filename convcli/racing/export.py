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
    """Return every result as a row, with its speed relative to each of `BASES`."""
    return [
        {name: _known(value) for name, value in asdict(result).items()}
        | {f"times_{base}": speed_beside(base, result, race.results) for base in BASES}
        for result in race.results
    ]


def _known(value: Any) -> Any:
    """Return a value, or None for infinity and NaN, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_csv(race: Race) -> bytes:
    """Return one line for each result, in seconds and bytes; unknown values are empty."""
    text = io.StringIO()
    table = rows(race)
    writer = csv.DictWriter(text, table[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue().encode()


def as_json(race: Race) -> bytes:
    """Return the machine, the kernel and every result; unknown values are null."""
    whole = {"machine": race.machine, "kernel": race.kernel, "results": rows(race)}
    if race.notes:
        whole["notes"] = list(race.notes)
    return json.dumps(whole, indent=1, allow_nan=False).encode() + b"\n"
