"""The manual page: it is what the commands say, and roff that mandoc has nothing against."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from runpy import run_path

import pytest

from convcli.cli.completion import commands

HERE = Path(__file__).parents[2] / "packaging"
PAGE = HERE / "convcli.1"


def test_the_page_is_what_the_commands_say():
    made = run_path(str(HERE / "man.py"))["page"]()
    assert PAGE.read_text() == made, "run: python packaging/man.py > packaging/convcli.1"


def test_every_option_is_on_the_page():
    text = PAGE.read_text().replace("\\", "")
    for command in commands():
        if command.name != "help":
            assert f".SS {command.name}\n" in text
        for option in command.options:
            assert all(name in text or name in ("-h", "--help") for name in option.names)


@pytest.mark.parametrize("tool", [name for name in ("mandoc",) if shutil.which(name)])
def test_the_page_is_good_roff(tool):
    # A date would be another thing to keep up.
    done = subprocess.run([tool, "-Tlint", PAGE], capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []
