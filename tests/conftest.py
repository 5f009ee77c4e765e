"""Photographs, image files, and the program: in this process, or in one of its own."""

from __future__ import annotations

import io
import logging
import os
import shutil
import signal
import struct
import subprocess
import sys
from dataclasses import dataclass

import pytest
from PIL import Image
from skimage import data

from convcli.cli.program import main
from convcli.loops import overlap_add
from convcli.running import packages
from tests.terminals import seen


@dataclass(frozen=True)
class Result:
    """The result of a run of the program."""

    status: int
    out: bytes
    err: str

    @property
    def text(self):
        return self.out.decode()

    @property
    def message(self):
        """The only line of standard error; an error has exactly one."""
        (line,) = self.err.splitlines()
        return line


@pytest.fixture(scope="session")
def photo():
    """(512, 512, 3) uint8; no two of its rows, columns or corners are alike."""
    return data.astronaut()


@pytest.fixture(scope="session")
def grey():
    """(512, 512) uint8."""
    return data.camera()


@pytest.fixture
def picture_file(tmp_path, photo):
    """Make an image file: ``picture_file(name, pixels, **settings of Pillow)``."""

    def make(name, pixels=None, **settings):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = photo[100:148, 200:264] if pixels is None else pixels
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image.save(path, **settings)
        return path

    return make


@pytest.fixture
def run(capfdbinary, monkeypatch):
    """Run the program in this process: ``run("blur", path, "--sigma", 1, stdin=b"")``."""

    def call(*argv, stdin=b""):
        before = {number: signal.getsignal(number) for number in signal.valid_signals()}
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["convcli", *map(str, argv)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            patch.setattr(sys, "warnoptions", ["error"])  # as if asked for with -W
            patch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
            patch.setattr(logging.root.manager, "disable", 0)
            capfdbinary.readouterr()
            try:
                with pytest.raises(SystemExit) as leaving:
                    main()
            finally:
                for number, handler in before.items():
                    if signal.getsignal(number) is not handler:
                        signal.signal(number, handler)
        out, err = capfdbinary.readouterr()
        return Result(leaving.value.code, out, err.decode())

    return call


@pytest.fixture
def program():
    """Run the program in a process of its own."""

    def call(*argv, stdin=b"", **settings):
        done = subprocess.run(
            [sys.executable, "-m", "convcli", *argv],
            input=stdin,
            capture_output=True,
            timeout=60,
            **settings,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())

    return call


@pytest.fixture
def terminal():
    """Run the program with its output on a terminal of its own: ``terminal(*argv, columns=80)``.

    Standard output and standard error are one stream there, `out`.
    """

    import fcntl  # not on Windows, where these tests are not collected
    import pty
    import termios

    def call(*argv, columns=80, lines=24, stdin=b"", cwd=None, **environment):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        odd = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
        plain = {name: value for name, value in os.environ.items() if name not in odd}
        settings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONUTF8": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "convcli", *map(str, argv)],
            stdin=subprocess.PIPE,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env=plain | settings | environment,
        )
        os.close(theirs)
        process.stdin.write(stdin)
        process.stdin.close()
        shown = seen(ours)
        return Result(process.wait(60), shown.replace(b"\r\n", b"\n"), "")

    return call


@pytest.fixture(params=["scipy", "numpy"])
def transforms(request, monkeypatch):
    """The transforms that `fft` uses: scipy's, already imported, or numpy's, as without scipy."""
    if request.param == "scipy":
        pytest.importorskip("scipy.fft")
    else:
        monkeypatch.setattr(packages, "_broken", {"scipy": "is not there for this test"})
        monkeypatch.setattr(overlap_add, "_scipy_fft", lambda: None)
    return request.param


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
CHROMEDRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="session")
def browser():
    """A Chromium without a window; with CONVCLI_NEEDS_BROWSER its absence is a failure."""
    if not os.environ.get("CONVCLI_NEEDS_BROWSER"):
        pytest.importorskip("selenium", reason="the extra browser is not installed")
        if not (CHROMIUM and CHROMEDRIVER):
            pytest.skip("there is no chromium with its chromedriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()
