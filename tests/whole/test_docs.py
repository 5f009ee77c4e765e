"""The pages of docs/ build, links lead somewhere, and every command does what its page says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urldefrag

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import convcli
from convcli.kernels.named import edge_kernels
from convcli.pixels import borders
from convcli.words import ALPHAS, BORDERS, METHODS, OPERATORS
from tests.whole.test_examples import STORIES, story
from tests.whole.test_readme import blocks, folder  # noqa: F401 - a fixture
from tests.whole.test_readme import run as by_shell
from tests.whole.test_rooms import ROOMS

ROOT = Path(__file__).parents[2]
HAS_DASK = find_spec("distributed") is not None
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}


def all_blocks(language):
    return [
        pytest.param(block, id=f"{page}: {block.splitlines()[0]}")
        for page, text in PAGES.items()
        for block in blocks(text, language)
        if HAS_DASK or not re.search(r"import dask|--cluster", block)
    ]


@pytest.fixture
def place(folder):  # noqa: F811
    """The folder of the README's commands, with the other files that these pages name."""
    photo = np.asarray(Image.open(folder / "photo.jpg"))
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:, :50] = 0
    Image.fromarray(np.dstack([photo, alpha])).save(folder / "cutout.png")
    Image.fromarray(alpha).save(folder / "mask.png")
    Image.fromarray(photo[..., 0].astype(np.uint16) * 257).save(folder / "grey16.png")
    np.save(folder / "mosaic.npy", photo)
    tifffile.imwrite(folder / "slide.tif", photo, tile=(64, 64))
    zarr.create_array(folder / "image.zarr", data=photo[..., 0], chunks=(64, 64))
    height = photo[..., 0].astype(np.float32)
    height[20:40, 20:40] = np.nan
    Image.fromarray(height).save(folder / "height.tif")
    (folder / "examples").symlink_to(ROOT / "examples")
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return folder


# Pipes, variables, other programs, and a cluster, which needs a process of its own.
NEEDS_SHELL = re.compile(r"[|<>$]|^(?!convcli\b|#|\s*$)|--cluster", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("block", all_blocks("sh"))
def test_commands_run(block, place, run, monkeypatch):
    monkeypatch.chdir(place)
    script = block.replace("\\\n", " ")
    if NEEDS_SHELL.search(re.sub("\"[^\"]*\"|'[^']*'", "", script)):
        done = by_shell(block, place)
        assert done.returncode == 0, done.stderr
    else:
        for line in script.splitlines():
            _, *words = shlex.split(line, comments=True) or [""]
            if words:
                assert run(*words).status == 0
    for name in re.findall(r"-o (\S+\.\w+)|> (\S+\.\w+)", block):
        assert (place / "".join(name)).stat().st_size > 0


@pytest.mark.parametrize("block", all_blocks("python"))
def test_python_runs(block, place):
    (place / "example.py").write_text(block)
    done = by_shell("python example.py", place)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines() if "scipy" in block else ():
        _, largest, share = line.split()
        assert float(largest) <= 1
        assert float(share) <= 0.01


def conversation(block):
    """Split a console block into its commands and the output that the page shows."""
    spoken = re.split(r"^\$ (.*)\n", block, flags=re.M)
    return list(zip(spoken[1::2], spoken[2::2], strict=True))


@pytest.mark.parametrize("block", all_blocks("console"))
def test_commands_print_what_is_shown(block, place):
    said = conversation(block)
    # Each command gets the status of the one before, for `echo $?`.
    script = "; ".join(
        f"{command} 2>&1; status=$?; echo '<end>'; (exit $status)" for command, _ in said
    )
    printed = by_shell(f"set +e; {script}; true", place).stdout.split("<end>\n")
    for (command, shown), real in zip(said, printed, strict=False):
        # Sorted, because standard error and standard output are not in step.
        assert sorted(map(essence, shown.splitlines())) == sorted(
            map(essence, real.splitlines())
        ), command


# Measured, or chosen by a measurement.
CHOSEN = re.compile(
    r"^\W*(method|kernel|loop|spread|predicted|time|start|read|filter|write|total) .*"
)


def essence(line):
    """Remove from a line what differs between machines and images."""
    if line.startswith("{"):
        return str([(name, type(value).__name__) for name, value in json.loads(line).items()])
    line = re.sub(r"\d+ strips", "strips", CHOSEN.sub(r"\1", line))
    line = re.sub(r"\d+ x \d+ RGB, \w+, [\d.]+ s", "", line)
    return re.sub(r"^('\S+'), \d+ x \d+:", r"\1", line)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("method", [word for word in METHODS if word != "auto"]),
        ("colour", ALPHAS),
    ],
)
def test_every_word_has_its_row(page, words):
    for word in words:
        assert f"\n| `{word}`" in PAGES[page]


@pytest.mark.parametrize("border", BORDERS)
def test_a_border_continues_a_row_as_its_page_says(border):
    (row,) = re.findall(rf"^\| `{border}`.*? \| `(.*?)`", PAGES["borders"], re.M)
    before, inside, after = re.fullmatch(r"(.*) \[(.*)\] (.*)", row).groups()
    letters = [*inside.split(), "k"]  # beyond a constant border, the index is -1
    reach = len(before.split())
    lines = borders.lines((0, 4), reach, reach, border, 4)
    assert " ".join(letters[line] for line in lines) == f"{before} {inside} {after}"


def test_the_folders_are_those_that_the_page_on_architecture_lists():
    listed = re.findall(r"^\| `(\w+)/`", PAGES["architecture"], re.M)
    assert listed == [name for name in ROOMS if (ROOT / "convcli" / name).is_dir()]


def test_the_operators_of_edge_have_one_scale():
    for operator in OPERATORS:
        column, row = edge_kernels(operator)[0].factors[0]
        assert column.sum() * np.abs(row).max() == pytest.approx(1)


def test_the_table_of_radii_is_what_the_example_computes():
    rules = story("sigma_rules")
    rows = [
        "| " + " | ".join([name, *(str(tool(sigma).size // 2) for sigma in rules.SIGMAS)]) + " |"
        for name, tool in rules.TOOLS.items()
    ]
    assert "\n".join(rows) in PAGES["sigma"]
    assert "| tool | " + " | ".join(f"{sigma:g}" for sigma in rules.SIGMAS) in PAGES["sigma"]


def test_every_example_is_shown_on_its_page():
    shown = re.findall(r'--8<-- "examples/(\w+)\.py"', PAGES["examples"])
    assert sorted(shown) == STORIES
    assert all(f"figures/{name}.png" in PAGES["examples"] for name in STORIES)


class Page(HTMLParser):
    """The anchors of a built page, its links, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads, self.unnamed = {""}, [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if "src" in found or tag == "link":
            self.loads.append(found.get("src") or found["href"])
        if tag == "img" and not found.get("alt"):
            self.unnamed.append(found["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory, request):
    """The pages by their paths, built with warnings as errors."""
    pytest.importorskip("material", reason="the extra docs (mkdocs-material) is not installed")
    pytest.importorskip("mkdocstrings", reason="the extra docs (mkdocstrings) is not installed")
    figures, _ = request.getfixturevalue("drawn")["draw_all"]
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", target],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "CONVCLI_FIGURES": str(figures)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # The addresses in 404.html start at a server's root.
    return {path: Page(path) for path in target.rglob("*.html") if path.name != "404.html"}


@pytest.mark.slow
def test_every_page_is_built(site):
    assert {path.stem for path in site} == {*PAGES, "results"}


@pytest.mark.slow
def test_links_and_anchors_lead_somewhere(site):
    checked = 0
    for path, page in site.items():
        for link in page.links + page.loads:
            if re.match(r"https://|mailto:|data:", link):
                continue
            address, anchor = urldefrag(link)
            target = (path.parent / unquote(address)).resolve() if address else path
            assert target.is_file(), f"{path.name}: {link}"
            if target in site:
                assert unquote(anchor) in site[target].anchors, f"{path.name}: {link}"
            checked += 1
    assert checked > 200


@pytest.mark.slow
def test_pages_load_nothing_from_the_network(site):
    for path, page in site.items():
        assert page.loads
        assert not [address for address in page.loads if "//" in address], path.name


@pytest.mark.slow
def test_pages_are_searched_without_a_server(site, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    (index,) = [path for path in site if path.stem == "index"]
    browser.get(index.as_uri())
    browser.find_element(By.TAG_NAME, "body").send_keys("s")  # opens the search
    browser.switch_to.active_element.send_keys("scipy rows columns")
    found = WebDriverWait(browser, 10).until(
        lambda page: page.find_elements(By.CSS_SELECTOR, "a.md-search-result__link")
    )
    assert "migration.html" in found[0].get_attribute("href")


@pytest.mark.slow
def test_every_figure_is_described(site):
    assert [page.unnamed for page in site.values() if page.unnamed] == []
    figures = {address for page in site.values() for address in page.loads if "figures/" in address}
    assert len(figures) == len(STORIES) + 1


@pytest.mark.slow
def test_the_public_functions_are_described(site):
    (api,) = [page for path, page in site.items() if path.stem == "api"]
    public = set(convcli.__all__) - {"__version__"}
    assert {f"convcli.{name}" for name in public} <= api.anchors
