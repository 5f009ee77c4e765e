"""The progress bar: on standard error, only on a terminal, gone when finished."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType
    from rich.progress import Progress, TaskID

# A run that ends sooner than this needs no bar, and importing rich would take 40 ms of it.
_PATIENCE_SECONDS = 0.3
_REFRESH_SECONDS = 0.1


def terminal() -> Console:
    """Return a console on standard error for live displays."""
    from rich.console import Console

    class VisibleCursor(Console):
        def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002 - rich's
            return False  # a program that is killed could not show it again

    return VisibleCursor(stderr=True)


class Bar:
    """A bar for a batch (images, megapixels a second, time left) or for one large image.

    It has no thread of its own, because rich's would be alive when worker processes are forked. A
    moving line has one, which ends with it.
    """

    def __init__(self, pictures: int, enabled: bool) -> None:
        self._pictures = pictures
        self._enabled = enabled
        self._started = time.monotonic()
        self._drawn = 0.0
        self._done = 0
        self.megapixels = 0.0
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        # The console that a bar or a moving line is on.
        self._live: Console | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._live = None

    def regions_done(self, done: int, total: int, what: str = "filtering") -> None:
        """Show the progress of a single image, or of other work in parts."""
        self._draw(done, total, what, "")

    @contextmanager
    def moving(self, text: str) -> Iterator[None]:
        """Show a moving line with a text meanwhile, unless there is a bar."""
        if not self._enabled or self._live is not None:
            yield
            return
        from rich.live import Live
        from rich.spinner import Spinner

        self._live = terminal()
        line = Live(
            Spinner("line", text),
            console=self._live,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        try:
            with line:
                yield
        finally:
            self._live = None

    def picture_done(self, megapixels: float) -> None:
        """Count an image as done, and show the progress of a batch."""
        self._done += 1
        self.megapixels += megapixels
        if self._pictures > 1:
            self._draw(self._done, self._pictures, "images", f"{self.speed:.1f} MP/s")

    @property
    def seconds(self) -> float:
        """The time since the start."""
        return max(time.monotonic() - self._started, 1e-9)

    @property
    def speed(self) -> float:
        """Megapixels a second."""
        return self.megapixels / self.seconds

    def say(self, line: str) -> None:
        """Print a line on standard error, above the bar if there is one."""
        if self._live is None:
            typer.echo(line, err=True)
        else:
            from rich.text import Text

            self._live.print(Text.from_ansi(line), soft_wrap=True)

    def show(self, drawing: Callable[[Console], RenderableType]) -> None:
        """Print a rich drawing on standard error, above the bar if there is one.

        Outside of a terminal it has ASCII lines, no colours, and no line breaks.
        """
        from rich.console import Console

        class Plain(Console):
            encoding = "ascii"

        if self._live is not None:
            console = self._live
        elif sys.stderr.isatty():
            console = Console(stderr=True)
        else:
            console = Plain(stderr=True, color_system=None, width=10_000)
        console.print(drawing(console))

    def _draw(self, done: int, total: int, what: str, speed: str) -> None:
        now = time.monotonic()
        if not self._enabled or now - self._started < _PATIENCE_SECONDS:
            return
        if self._progress is None:
            if self._live is not None:
                return  # there is a moving line
            self._start(what, total)
        if now - self._drawn >= _REFRESH_SECONDS or done == total:
            self._drawn = now
            assert self._progress is not None
            assert self._task is not None
            self._progress.update(self._task, completed=done, total=total, speed=speed)
            self._progress.refresh()

    def _start(self, what: str, total: int) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._live = terminal()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._live,
            transient=True,
            auto_refresh=False,
            # Images and JSON go to standard output, which rich must not redirect; lines on
            # standard error go through `say`.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task(what, total=total, speed="")
        self._progress.start()
