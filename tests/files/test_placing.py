"""--flat, --base, --suffix, --exclude and --newer: what is left out, and where results go."""

from __future__ import annotations

import os

import pytest

from convcli import ConvcliError
from convcli.files.job import Request
from convcli.files.jobs import jobs_for

TREE = ["in/a.png", "in/a.tmp.png", "in/old/b.png", "in/new/c.png", "in/new/old.png"]


@pytest.fixture(autouse=True)
def tree(tmp_path, monkeypatch):
    for name in TREE:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "work").mkdir()
    (tmp_path / "list").write_text("\n".join(f"../{name}" for name in TREE))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def outputs(*inputs, **settings):
    settings = {"recursive": True, **settings}
    jobs = jobs_for(Request("blur", inputs, **settings))
    return sorted(str(job.problem or job.target_name) for job in jobs)


LIST = {"files_from": "../list", "output": "out/"}


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (LIST, [f"out/{name}" for name in TREE]),
        (LIST | {"base": ".."}, [f"out/{name}" for name in TREE]),
        (LIST | {"base": "../in"}, [f"out/{name[3:]}" for name in TREE]),
        (LIST | {"flat": True}, [f"out/{os.path.basename(name)}" for name in TREE]),
        (LIST | {"flat": True, "exclude": ("*a*",)}, ["out/b.png", "out/c.png", "out/old.png"]),
        (LIST | {"base": "..", "exclude": ("in/new", "*.tmp.*", "old")}, ["out/in/a.png"]),
    ],
)
def test_lists_go_where_they_are_told(settings, wanted, tree):
    assert outputs(**settings) == sorted(wanted)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"exclude": ("old", "*.tmp.png")}, ["out/a.png", "out/new/c.png", "out/new/old.png"]),
        ({"exclude": ("new/", "a*")}, ["out/old/b.png"]),
        ({"exclude": ("new/*",), "flat": True}, ["out/a.png", "out/a.tmp.png", "out/b.png"]),
        ({"exclude": ("[!a]*",), "suffix": "_s"}, ["out/a.tmp_s.png", "out/a_s.png"]),
        ({"exclude": ("old*", "a*"), "base": "..", "suffix": "_s"}, ["out/in/new/c_s.png"]),
        ({"exclude": ("old*", "a.tmp*"), "output": None, "suffix": ".soft"},
         ["../in/a.soft.png", "../in/new/c.soft.png"]),
    ],
)  # fmt: skip
def test_folders_leave_out_what_fits(settings, wanted):
    assert outputs("../in", **{"output": "out/", **settings}) == wanted


def test_results_of_an_earlier_run_are_no_inputs_whatever_their_suffix(tree):
    before = outputs("../in", suffix="_soft")
    for name in before:
        (tree / "work" / name).touch()
    assert outputs("../in", suffix="_soft", existing="skip") == before


def test_what_is_not_below_the_base_is_a_problem_of_its_own(tree):
    (tree / "list").write_text("../in/a.png\n../in/new/c.png")
    problem = "is not below --base '../in/new'; choose a folder that holds all inputs"
    assert outputs(**LIST, base="../in/new") == [problem, "out/c.png"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flat": True, "base": ".", "output": "out/"}, "--flat and --base cannot be used"),
        ({"flat": True}, "--flat is for results in a folder; name one with -o"),
        ({"base": "."}, "--base is for results in a folder"),
        ({"suffix": "a/b"}, "--suffix must be a part of a name, such as _soft, not 'a/b'"),
        ({"suffix": ""}, "--suffix must be a part of a name"),
        ({"suffix": "_s", "existing": "in place"}, "--suffix has no effect"),
        ({"exclude": ("*",)}, "--exclude leaves out every input"),
        ({"flat": True, "output": "out/"}, "same output|would both"),
    ],
)
def test_what_has_no_effect_is_refused(settings, message, tree):
    (tree / "in" / "new" / "a.png").touch()
    with pytest.raises(ConvcliError, match=message):
        outputs("../in", **settings)


def test_only_older_outputs_are_made_again(tree):
    wanted = {"output": "out/", "existing": "newer", "exclude": ("old*", "*.tmp.*")}
    (tree / "work" / "out" / "new").mkdir(parents=True)
    for name, seconds in (("a.png", 10), ("new/c.png", -10)):
        there = tree / "work" / "out" / name
        there.touch()
        since = os.stat(tree / "in" / name).st_mtime
        os.utime(there, (since + seconds, since + seconds))
    jobs = jobs_for(Request("blur", ("../in",), recursive=True, **wanted))
    assert {job.target_name: job.skip for job in jobs} == {
        "out/a.png": True,
        "out/new/c.png": False,
    }
