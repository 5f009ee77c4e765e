"""Every command and every line of Python in the README runs unchanged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from convcli.words import BORDERS, METHODS

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def section(title):
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
    assert found, title
    return found[1]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture
def folder(tmp_path):
    """A folder with the files that the README names, and a convcli on the PATH."""
    photo = Image.fromarray(skimage.data.coffee()).resize((150, 100))
    (tmp_path / "photos" / "2024").mkdir(parents=True)
    for name in ("photo.jpg", "photos/one.jpg", "photos/2024/two.png"):
        photo.save(tmp_path / name)
    program = tmp_path / "bin" / "convcli"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m convcli "$@"\n')
    program.chmod(0o755)
    return tmp_path


def run(command, folder):
    environment = {**os.environ, "PYTHONPATH": str(README.parent), "COLUMNS": "80"}
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks(section("Recipes"), "sh"), ids=lambda b: b.split("\n")[0])
def test_the_commands_run(block, folder):
    done = run(block, folder)
    assert done.returncode == 0, done.stderr
    for name in re.findall(r"-o (\S+\.\w+)|> (\S+\.\w+)", block):
        assert (folder / "".join(name)).stat().st_size > 0


@pytest.mark.parametrize("block", blocks(section("Recipes"), "python"))
def test_the_python_runs(block, folder):
    (folder / "example.py").write_text(block)
    done = run(f'"{sys.executable}" example.py', folder)
    assert done.returncode == 0, done.stderr
    assert "predicted" in done.stdout


def test_two_commands_stand_alone_under_their_heading():
    text = section("Two commands")
    assert len(blocks(text, "sh")) == text.count("```") / 2 == 2


@pytest.mark.parametrize("word", METHODS)
def test_every_method_is_explained(word):
    assert f"| `{word}`" in TEXT


@pytest.mark.parametrize("word", BORDERS)
def test_every_border_is_named(word):
    assert f"`{word}`" in TEXT


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_links_lead_somewhere(path):
    assert (README.parent / path).exists()


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`([\w/]+\.py)`", section("How it works"))))
)
def test_files_that_it_names_are_there(name):
    assert (README.parent / "convcli" / name).exists()
