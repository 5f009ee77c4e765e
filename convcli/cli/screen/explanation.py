"""The output of ``--explain``: the plan of an image as a tree, predicted and measured times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convcli.planning.chains import ChainPlan
from convcli.planning.plan import Plan
from convcli.words import counted, duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    from convcli.batch.outcome import Outcome, Timing
    from convcli.words import Border

# Widths of the columns: words, times, and the longest bar.
_WORD, _TIME, _BAR = 11, 11, 24


def explanation(
    outcome: Outcome, name: str, border: Border, console: Console, start: float | None = None
) -> Tree:
    """Return the tree of how an image was filtered.

    Parameters
    ----------
    outcome : Outcome
        The outcome of an image that was filtered.
    name : str
        The name of the image.
    border : str
        The border that was used.
    console : Console
        The console of the tree; rich uses ASCII where it cannot show lines.
    start : float, optional
        Seconds of the program that are of no stage: to load it, and to plan.
    """
    from rich.tree import Tree

    plan = outcome.plan
    assert plan is not None
    width, height = outcome.size
    tree = Tree(_plain(f"{name}, {width} x {height}:"), guide_style="dim")
    task = plan.stages[0].plan.task if isinstance(plan, ChainPlan) else getattr(plan, "task", None)
    if task and task.whole:
        tree.add(_line("part", f"{task.size[1]} x {task.size[0]} pixels with their neighbours"))
    for number, one in enumerate(plan.stages if isinstance(plan, ChainPlan) else (), 1):
        branch = tree.add(_line(f"stage {number}", one.words))
        for word, text in one.parts():
            inner = branch.add(_line(word, text))
            for each in one.plan.passes() if word == "kernel" else ():
                inner.add(_plain(each))
    for word, text in plan.parts():
        branch = tree.add(_line(word, text))
        if not isinstance(plan, Plan):
            continue
        if word == "kernel":
            for each in plan.passes():
                branch.add(_plain(each))
            above, beside = plan.reach()
            far = f"{counted(above, 'pixel')} above and below, {beside} left and right"
            tree.add(_line("border", f"{border}, {far}"))
        if word == "spread":
            for each in _pieces(plan):
                branch.add(_plain(each))
    for word, text in outcome.parts:
        tree.add(_line(word, text))
    if outcome.light:
        tree.add(_line("light", outcome.light))
    branch = tree.add(_line("time", f"{'predicted':>{_TIME}}{'measured':>{_TIME}}"))
    if start is not None:
        branch.add(_row("start", None, start))
    longest = max(step.measured for step in outcome.timings)
    dash = "#" if console.options.ascii_only else "\N{BOX DRAWINGS HEAVY HORIZONTAL}"
    room = console.width - 8 - _WORD - 2 * _TIME - 2
    for step in outcome.timings:
        share = step.measured / longest if longest else 0.0
        inner = branch.add(_times(step, dash * round(share * max(0, min(_BAR, room)))))
        if step.name == "filter" and isinstance(plan, ChainPlan) and any(plan.measured):
            for number, times in enumerate(zip(plan.predicted, plan.measured, strict=True), 1):
                # A level deeper than the others, and so four columns to the left of them.
                first, second = map(duration, times)
                inner.add(_plain(f"{number:<{_WORD - 8}}{first:>{_TIME}}{second:>{_TIME}}"))
    predicted = sum(stage.predicted for stage in outcome.timings)
    measured = sum(stage.measured for stage in outcome.timings) + (start or 0.0)
    branch.add(_row("total", predicted, measured))
    return tree


def _plain(text: str) -> Text:
    """Return a text in which rich reads no markup."""
    from rich.text import Text

    return Text(text)


def _row(name: str, predicted: float | None, measured: float) -> Text:
    first = "" if predicted is None else duration(predicted)
    return _plain(f"{name:{_WORD - 4}}{first:>{_TIME}}{duration(measured):>{_TIME}}")


def _line(word: str, text: str) -> Text:
    from rich.text import Text

    return Text.assemble((f"{word:{_WORD}}", "bold"), text.replace("\n", " "))


def _times(step: Timing, bar: str) -> Text:
    from rich.text import Text

    times = f"{duration(step.predicted):>{_TIME}}{duration(step.measured):>{_TIME}}"
    line = Text.assemble(f"{step.name:{_WORD - 4}}{times}  ", (bar, "cyan"), f" {step.remark}")
    line.rstrip()
    return line


def _pieces(plan: Plan) -> list[str]:
    """Return how the image is divided for the workers, and each of those pieces for the cache."""
    height, width, _ = plan.task.size
    rows, columns = plan.route.regions
    number = math.ceil(height / rows) * math.ceil(width / columns)
    kind = "strip" if columns >= width else "tile"
    lines = [f"{number} {kind}{'s' * (number != 1)}"]
    if plan.route.tile != plan.route.regions:
        lines.append(f"each in pieces of {plan.route.tile[1]} x {plan.route.tile[0]}")
    return lines
