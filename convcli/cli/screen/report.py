"""What is reported of a run: lines and JSON objects, one for each input, and the final count."""

from __future__ import annotations

import os
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

import typer

from convcli.cli.screen import lines
from convcli.cli.screen.remarks import Remarks
from convcli.errors import inert, shown
from convcli.files.job import part_of
from convcli.words import counted, digits

if TYPE_CHECKING:
    from convcli.batch.outcome import Outcome
    from convcli.cli.options import Shared
    from convcli.cli.screen.progress import Bar
    from convcli.files.job import Job
    from convcli.files.many import Jobs

# The counts that a batch always ends with; others are named if there are any.
_ALWAYS = ("written", "failed", "skipped")


class Report:
    """Reports the outcomes of a run as they come, and counts them."""

    def __init__(self, jobs: Jobs, shared: Shared, bar: Bar) -> None:
        self._single = jobs[0] if isinstance(jobs, list) and len(jobs) == 1 else None
        self._shared = shared
        self._bar = bar
        self._counts = {"written": 0, "shown": 0, "failed": 0, "skipped": 0, "not tried": 0}
        self._why_not_tried = ""
        self._remarks = Remarks()

    @property
    def not_done(self) -> int:
        """How many jobs failed or were not tried."""
        return self._counts["failed"] + self._counts["not tried"]

    def add(self, outcome: Outcome) -> None:
        """Count an outcome and report it."""
        self._counts[outcome.status] += 1
        if outcome.status == "not tried":
            self._why_not_tried = f": {outcome.reason}"
        self._bar.picture_done(outcome.megapixels)
        start = self._start(outcome)
        if self._shared.json:
            _print_json(outcome.job, outcome.status, _fields(outcome, start))
        # The count of a batch says why others were not tried.
        if outcome.status == "failed" or (self._single and outcome.status == "not tried"):
            self._failure(outcome)
        if outcome.plan is not None and self._shared.explain:
            from convcli.cli.screen.explanation import explanation

            name, border = _input(outcome.job), self._shared.border
            self._bar.show(lambda c: explanation(outcome, name, border, c, start))
        if not self._shared.quiet:
            self._success(outcome)

    def end(self, interrupted: bool) -> None:
        """Report the notes and counts of a batch; of a single job only that it was interrupted."""
        if self._shared.quiet:
            return
        if self._single is None:
            for about, text in self._remarks.all():
                typer.echo(lines.note(text, about), err=True)
            counts = [f"{n} {name}" for name, n in self._counts.items() if n or name in _ALWAYS]
            end = ", then interrupted" if interrupted else self._why_not_tried
            typer.echo(lines.plain(", ".join(counts) + end + self._how_fast()), err=True)
        elif interrupted and not self._counts["written"]:
            nothing = "" if self._single.target is None else "; nothing was written"
            typer.echo(lines.note(f"interrupted{nothing}"), err=True)

    def _start(self, outcome: Outcome) -> float | None:
        """Return the seconds of a run with one image that are of no stage."""
        from convcli.cli.started import STARTED

        if self._single is None or not outcome.timings:
            return None
        stages = sum(stage.measured for stage in outcome.timings)
        return max(time.perf_counter() - STARTED - stages, 0.0)

    def _how_fast(self) -> str:
        """Return the folder, the time and the speed of a batch, for a terminal."""
        if not lines.is_terminal(sys.stderr):
            return ""
        output = self._shared.output
        folder = f" in {shown(output)}" if output and self._counts["written"] else ""
        bar = self._bar
        speed = f", {digits(bar.speed)} MP/s" if bar.megapixels else ""
        return f"{folder}, {bar.seconds:.1f} s{speed}"

    def _failure(self, outcome: Outcome) -> None:
        self._bar.say(lines.error(f"{_input(outcome.job)}: {outcome.reason}"))
        if self._shared.debug and outcome.error is not None:
            for line in "".join(traceback.format_exception(outcome.error)).splitlines():
                self._bar.say(inert(line))

    def _success(self, outcome: Outcome) -> None:
        """Report notes, and what was written or skipped: for a single job, or with --verbose."""
        job = outcome.job
        single = self._single is not None
        if single or self._shared.verbose:
            for note in outcome.notes:
                self._bar.say(lines.note(note, _input(job)))
        else:
            self._remarks.add(_input(job), outcome.notes)
        if outcome.status == "skipped" and (self._shared.verbose or single):
            text = f"skipped {_input(job)}: {_output(job)} {_why(self._shared)}"
            self._bar.say(lines.plain(text))
        if outcome.status == "written" and (
            self._shared.verbose or (single and job.target is not None)
        ):
            from convcli.image.picture import in_words  # what is skipped needs no image

            width, height = outcome.result_size
            frames = f", {outcome.frames} frames" if outcome.frames > 1 else ""
            method = f"{outcome.plan.method}, " if outcome.plan else ""  # nothing was filtered
            text = f"wrote {_output(job)}: {width} x {height} {in_words(outcome.mode)}{frames}, "
            self._bar.say(lines.plain(f"{text}{method}{outcome.seconds:.2f} s"))


def report_dry_run(jobs: Jobs, shared: Shared, command: str) -> int:
    """Report what a run would do, and return how many jobs cannot be done."""
    for job in jobs:
        if shared.json:
            status = "failed" if job.problem else "skipped" if job.skip else "planned"
            _print_json(job, status, {"reason": job.problem} if job.problem else {})
        if job.problem:
            typer.echo(lines.error(f"{_input(job)}: {job.problem}"), err=True)
        elif shared.json:
            continue
        elif job.skip:
            typer.echo(f"skip {_input(job)}: {_output(job)} {_why(shared)}")
        else:
            typer.echo(f"{command} {_input(job)} -> {_output(job)}")
    return sum(bool(job.problem) for job in jobs)


def _print_json(job: Job, status: str, more: dict[str, Any]) -> None:
    """Print one object on one line of standard output; every object has the same keys."""
    import json

    fields: dict[str, Any] = {
        "input": _json_name(job.source_name),
        "output": None if job.problem else _json_outputs(job),
        "status": status,
        "reason": None,
        "width": None,
        "height": None,
        "mode": None,
        "frames": None,
        "method": None,
        "form": None,
        "sums": None,
        "seconds": None,
        "times": None,
        "predicted": None,
        "left_out": None,
        "notes": [],
    }
    typer.echo(json.dumps(fields | more))


def _fields(outcome: Outcome, start: float | None) -> dict[str, Any]:
    """Return the fields of an outcome that it does not share with a job that was not done."""
    if outcome.status in ("failed", "not tried"):
        return {"reason": outcome.reason}
    if outcome.status == "skipped":
        return {}
    route = getattr(outcome.plan, "route", None)
    times = {} if start is None else {"start": start}
    times |= {step.name: step.measured for step in outcome.timings}
    return {
        "width": outcome.result_size[0],
        "height": outcome.result_size[1],
        "mode": outcome.mode,
        "frames": outcome.frames,
        "method": outcome.plan.method if outcome.plan else None,
        "form": route.form if route else None,
        "sums": route.accumulator if route else getattr(outcome.plan, "between", None),
        "seconds": round(outcome.seconds, 4),
        "times": {name: round(seconds, 6) for name, seconds in times.items()},
        "predicted": {step.name: round(step.predicted, 6) for step in outcome.timings},
        "left_out": outcome.left_out,
        "notes": list(outcome.notes),
    }


def _json_name(path: str | os.PathLike[str] | None) -> str:
    """Return a path as Python names it, with lone surrogates for bytes that are not UTF-8."""
    return "-" if path is None else os.fsencode(path).decode("utf-8", "surrogateescape")


def _json_outputs(job: Job) -> str | list[str]:
    if job.parts:
        return [_json_name(name) for name in job.outputs]
    return _json_name(job.target_name)


def _why(shared: Shared) -> str:
    return "is newer" if shared.newer else "exists"


def _input(job: Job) -> str:
    return "standard input" if job.source_name is None else shown(job.source_name)


def _output(job: Job) -> str:
    if job.target_name is not None and job.parts:
        return f"{shown(part_of(job.target_name, '*'))} ({counted(len(job.parts), 'image')})"
    return "standard output" if job.target_name is None else shown(job.target_name)
