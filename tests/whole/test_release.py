"""What packagers are told agrees with pyproject.toml."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import convcli

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
RECIPE = (ROOT / "packaging/conda/recipe.yaml").read_text(encoding="utf-8")


def test_the_recipe_for_conda_has_the_same_facts():
    run = re.search(r"^  run:\n(.*?)^$", RECIPE, re.M | re.S)[1]
    needed = [line.strip("- ").replace(" ", "") for line in run.splitlines()]
    assert needed[1:] == PROJECT["dependencies"]
    assert f'python_min: "{PROJECT["requires-python"].removeprefix(">=")}"' in RECIPE
    assert f"license: {PROJECT['license']}\n" in RECIPE
    assert f"license_file: {PROJECT['license-files'][0]}\n" in RECIPE
    assert f'version: "{convcli.__version__}"' in RECIPE
    for name, entry in PROJECT["scripts"].items():
        assert f"- {name} = {entry}\n" in RECIPE


def test_the_oldest_versions_are_those_of_the_project():
    """.ci/run and .ci/build install them."""
    said = subprocess.run(
        [sys.executable, ".ci/oldest.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"numpy==2.0.2", "pillow==13.0.0", "typer==0.26", "scipy==1.15"} <= set(said)
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", each) for each in said)


@pytest.mark.parametrize("name", [".ci/image", ".ci/readme.py", "Dockerfile", ".ci/contents.py"])
def test_what_the_workflows_name_is_there(name):
    assert (ROOT / name).exists()


def test_a_container_is_built_from_all_that_a_wheel_needs():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = tuple(line[1:] for line in lines if line.startswith("!"))
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        "pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], *wheel["packages"],
        wheel["hooks"]["custom"]["path"], *wheel["shared-data"], ".ci/image", "docs/*.md",
    }  # fmt: skip
    assert lines[1] == "*"  # nothing else is
    assert [name for name in needed if not name.startswith(kept)] == []
