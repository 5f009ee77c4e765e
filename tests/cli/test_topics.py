"""``convcli help TOPIC``: the pages of docs/ in the terminal."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from convcli.cli import topics
from convcli.cli.app import COMMANDS
from convcli.cli.commands import blur

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", topics.topics())
def test_a_page_is_shown_in_any_width(run, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "60")
    shown = run("help", name)
    assert shown.status == 0
    title = (DOCS / f"{name}.md").read_text(encoding="utf-8").partition("\n")[0]
    first = shown.text.splitlines()[:2]  # older versions of rich draw a box
    assert title.removeprefix("# ").split()[0] in " ".join(first)
    assert max(map(len, shown.text.splitlines())) <= 60
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown.text  # no word is cut off
    assert not re.search(r"!?\[[^\]]*\]\([^)]*(\.md|\.png|#)", shown.text)


def test_links_name_the_command_that_shows_their_page():
    page = (
        "See [more](borders.md#x) and [wide\nblurs](speed.md), not [Python](api.md) or [it](#a).\n"
    )
    assert topics._for_terminals(page) == (
        "See `convcli help borders` and wide\nblurs (`convcli help speed`), not Python or it.\n"
    )


def test_no_topic_has_the_name_of_a_command():
    assert not {*topics.topics(), "help"} & {*COMMANDS}


def test_every_topic_that_is_named_exists(run):
    """In the help of commands, and in messages."""
    package = Path(blur.__file__).parents[2]
    named = set()
    for path in package.rglob("*.py"):
        named |= set(re.findall(r"'convcli help\s+(\w+)'", path.read_text(encoding="utf-8")))
    assert "sigma" in named
    assert named - {"COMMAND", "TOPIC"} <= {*topics.topics(), *COMMANDS}
    assert not re.search(r"docs/\w+\.md", run("--help").text)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_names_no_file_of_the_repository(run, name):
    assert "docs/" not in run("help", name).text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bordrs"], "there is no command or topic 'bordrs'; did you mean 'borders'?"),
        (["Blur"], "there is no command or topic 'Blur'; did you mean 'blur'?"),
        (["zzz"], "there is no command or topic 'zzz' ('convcli --help' lists all)"),
        (["blur", "edge"], "help takes one command or topic; leave out 'edge'"),
    ],
)
def test_what_is_no_topic_is_refused(run, words, said):
    refused = run("help", *words)
    assert refused.status == 2
    assert said in refused.err


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_help_alone_lists_commands_and_topics(run, words):
    text = run("help", *words).text
    listed = text.partition("Topics:")[2].partition("\n\n")[0]
    assert re.findall(r"\w+", listed) == topics.topics()


def test_without_pygments_a_page_is_plain(run, monkeypatch):
    """As in the container."""
    monkeypatch.setitem(sys.modules, "rich.markdown", None)
    assert run("help", "borders").text.startswith("# What lies beyond the edge?\n")


def test_a_wheel_brings_the_pages(run, monkeypatch, tmp_path):
    folder = tmp_path / "convcli"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs/borders.md").write_text("# Of the wheel\n")
    monkeypatch.setattr(topics, "__file__", str(folder / "cli/topics.py"))
    assert "Of the wheel" in run("help", "borders").text


COMMANDS_OF_DOCS = [
    line
    for page in sorted(DOCS.glob("*.md"))
    for block in re.findall(r"^```(?:sh|bash)$(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    for line in block.splitlines()
    if line.startswith("convcli ") and not line.endswith("\\")
]


OTHER_COMMANDS = [
    "convcli filter photo.jpg --kernel='1 0 -1; 2 0 -2; 1 0 -1' --bias 128 -o edges-of-photo.png",
    "convcli blur 'the image # 1 of them.png' -o soft.png --sigma 3 --border wrap  # it's one",
    r"convcli blur photos/the\ first\ image.png photos/the\ second\ image.png -o out/ --sigma 3",
]


@pytest.mark.parametrize("columns", [1, 20, 26, 30, 40, 58, 78])
@pytest.mark.parametrize("command", COMMANDS_OF_DOCS + OTHER_COMMANDS)
def test_a_command_that_is_broken_into_lines_stays_the_same(command, columns):
    parts = topics.broken([command], columns)
    pasted = "\n".join(parts).replace("\\\n", "")  # as a shell joins lines
    assert shlex.split(pasted, comments=True) == shlex.split(command, comments=True)
    longest = max(map(len, topics._TOGETHER.findall(command)))
    assert max(map(len, parts)) <= max(columns, longest + len("     \\"))


def test_an_option_stays_with_its_value():
    assert topics.broken(["convcli blur photo.jpg -o soft.png"], 26) == [
        "convcli blur photo.jpg \\",
        "    -o soft.png",
    ]


def test_if_a_block_is_broken_all_its_comments_stand_before_their_commands():
    block = ["convcli blur a.png -s 2 -r  # one", "edge  # two", "    -o b"]
    assert topics.broken(block, 99) == block
    assert topics.broken(block, 30) == [
        *("# one", "convcli blur a.png -s 2 -r", "# two", "edge", "    -o b"),
    ]
