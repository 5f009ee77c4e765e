"""Which inputs become which outputs: tables of what was typed, and what follows."""

from __future__ import annotations

import io
import os
import sys

import pytest

from convcli import ConvcliError
from convcli.jobs import Request, jobs_for

TREE = [
    "a.png", "b.jpg", "c.PNG", "photo", "notes.txt", "a.blur.png",
    "dir/x.png", "dir/readme.txt", "dir/sub/y.tif", "dir/sub/x.png", "dir/.hidden/h.gif",
    "other/x.png", "empty/notes.txt", "png.png/in.png",
]  # fmt: skip


@pytest.fixture(autouse=True)
def tree(tmp_path, monkeypatch):
    """Work in a folder of files that are pictures by name; nothing here opens them."""
    for name in TREE:
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def request(*inputs, command="edge", **settings):
    return Request(command, tuple(map(str, inputs)), **settings)


def pairs(*inputs, **settings):
    """Return (source, target) as text for each job; a problem stands in for a target."""
    return [
        (
            "-" if job.source is None else str(job.source),
            job.problem or ("-" if job.target is None else str(job.target)),
        )
        for job in jobs_for(request(*inputs, **settings))
    ]


def listed(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    return {"files_from": "-"}


@pytest.mark.parametrize(
    ("inputs", "settings", "expected"),
    [
        (["a.png"], {}, [("a.png", "a.edge.png")]),
        (["c.PNG"], {}, [("c.PNG", "c.edge.PNG")]),
        (["photo"], {}, [("photo", "photo.edge")]),
        (["dir/sub/x.png"], {}, [("dir/sub/x.png", "dir/sub/x.edge.png")]),
        (["a.png"], {"format": "jpg"}, [("a.png", "a.edge.jpg")]),
        (["a.png"], {"output": "soft.jpg"}, [("a.png", "soft.jpg")]),
        (["a.png"], {"output": "new/soft.jpg"}, [("a.png", "new/soft.jpg")]),
        (["a.png"], {"output": "-"}, [("a.png", "-")]),
        (["a.png"], {"output": "other"}, [("a.png", "other/a.png")]),
        (["a.png"], {"output": "new/"}, [("a.png", "new/a.png")]),
        (["a.png"], {"output": "new.png/"}, [("a.png", "new.png/a.png")]),
        (["./a.png"], {}, [("a.png", "a.edge.png")]),
        (["a.png", "b.jpg"], {}, [("a.png", "a.edge.png"), ("b.jpg", "b.edge.jpg")]),
        (["a.png", "b.jpg"], {"output": "o"}, [("a.png", "o/a.png"), ("b.jpg", "o/b.jpg")]),
        (["a.png", "b.jpg"], {"output": "o", "format": "webp"},
         [("a.png", "o/a.webp"), ("b.jpg", "o/b.webp")]),
        (["c.PNG"], {"output": "o/", "format": "png"}, [("c.PNG", "o/c.PNG")]),
        (["dir"], {"output": "o", "recursive": True},
         [("dir/x.png", "o/x.png"), ("dir/.hidden/h.gif", "o/.hidden/h.gif"),
          ("dir/sub/x.png", "o/sub/x.png"), ("dir/sub/y.tif", "o/sub/y.tif")]),
        (["dir/sub/"], {"recursive": True},
         [("dir/sub/x.png", "dir/sub/x.edge.png"), ("dir/sub/y.tif", "dir/sub/y.edge.tif")]),
        (["dir/sub", "a.png"], {"output": "o/", "recursive": True},
         [("dir/sub/x.png", "o/x.png"), ("dir/sub/y.tif", "o/y.tif"), ("a.png", "o/a.png")]),
        (["png.png"], {"output": "o", "recursive": True}, [("png.png/in.png", "o/in.png")]),
        (["a.png"], {"existing": "in place"}, [("a.png", "a.png")]),
        (["dir/sub"], {"existing": "in place", "recursive": True},
         [("dir/sub/x.png", "dir/sub/x.png"), ("dir/sub/y.tif", "dir/sub/y.tif")]),
        (["a.png"], {"output": "b.jpg", "existing": "overwrite"}, [("a.png", "b.jpg")]),
        ([], {}, [("-", "-")]),
        (["-"], {}, [("-", "-")]),
        (["-"], {"output": "-"}, [("-", "-")]),
        ([], {"output": "new.png"}, [("-", "new.png")]),
        (["gone.png"], {}, [("gone.png", "No such file or directory")]),
        (["a.png", "gone/x.png"], {},
         [("a.png", "a.edge.png"), ("gone/x.png", "No such file or directory")]),
        (["a.png/x"], {}, [("a.png/x", "Not a directory")]),
        (["x" * 300], {}, [("x" * 300, "File name too long")]),
        (["/dev/null"], {}, [("/dev/null", "is not a regular file; pipe it in, and name '-'")]),
        (["empty"], {"recursive": True}, [("empty", "no pictures found in this folder")]),
        (["notes.txt"], {}, [("notes.txt", "notes.edge.txt")]),  # what it is, reading will tell
    ],
)  # fmt: skip
def test_inputs_become_outputs(inputs, settings, expected):
    assert pairs(*inputs, **settings) == expected


@pytest.mark.parametrize(
    ("inputs", "settings", "message"),
    [
        (["dir"], {}, "'dir' is a folder; add -r"),
        (["a.png", "dir/"], {}, "'dir/' is a folder; add -r"),
        ([""], {}, r"a name is empty \(''\)"),
        (["a.png"], {"output": ""}, r"a name is empty \(''\)"),
        (["-", "a.png"], {}, "standard input .* can be the only input"),
        (["a.png", "b.jpg"], {"output": "-"}, "standard output takes one picture"),
        (["dir"], {"output": "-", "recursive": True}, "standard output takes one picture"),
        (["a.png"], {"null": True}, "--null says how the names in --files-from"),
        (["a.png"], {"files_from": "list"}, "--files-from, not both"),
        ([], {"files_from": "gone"}, "--files-from 'gone': No such file"),
        ([], {"files_from": "dir"}, "--files-from 'dir': Is a directory"),
        ([], {"files_from": "notes.txt"}, "--files-from 'notes.txt': lists no files"),
        (["a.png"], {"output": "x.foo"}, r"'x.foo': the suffix '.foo' is no format .* \.png, "),
        (["a.png"], {"output": "x"}, r"'x': a file needs a suffix .*a slash at its end"),
        ([], {"output": "x"}, "'x': a file needs a suffix"),
        ([], {"output": "dir"}, "'dir' is a folder, and standard input has no name"),
        (["a.png"], {"format": "psd"}, "unknown format 'psd'; it must be one of png, jpeg"),
        (["a.png"], {"format": ""}, "unknown format ''"),
        (["a.png", "b.jpg"], {"output": "c.PNG"}, "'c.PNG' is not a folder"),
        (["a.png"], {"output": "c.PNG/"}, "'c.PNG/' is not a folder"),
        (["a.png", "b.jpg"], {"output": "new.png"}, "-o 'new.png' names one picture.*slash"),
        (["a.png"], {"existing": "in place", "output": "x.png"}, "--in-place .* no --output"),
        (["a.png"], {"existing": "in place", "format": "jpg"}, "--in-place .* no --format"),
        ([], {"existing": "in place"}, "standard input cannot be written in place"),
        (["a.png"], {"output": "b.jpg"}, "'b.jpg' exists; use --overwrite, --skip-existing"),
        ([], {"output": "b.jpg"}, "'b.jpg' exists; use --overwrite"),
        (["a.png"], {"command": "blur"}, "'a.blur.png' exists"),
        (["dir"], {"output": "here", "recursive": True}, r"'here/x.png' \(and 1 more\) exists"),
        (["dir/x.png", "other/x.png"], {"output": "o"},
         "'dir/x.png' and 'other/x.png' would both be written to 'o/x.png'"),
        (["dir", "other"], {"output": "o", "recursive": True}, "would both be written to"),
        (["a.png", "./a.png"], {}, "'a.png' and 'a.png' would both be written to 'a.edge.png'"),
        (["a.png", "a.jpg"], {"output": "o", "format": "gif"}, "both be written to 'o/a.gif'"),
        (["a.png", "link.png"], {"existing": "in place"}, "'a.png' and 'link.png' would both"),
        (["a.png", "a.blur.png"], {"command": "blur", "existing": "overwrite"},
         "'a.blur.png' is an input, and 'a.png' would be written over it"),
        (["dir/x.png", "a.png"], {"output": "twin", "existing": "overwrite"},
         "'twin/x.png' is an input, and 'dir/x.png' would be written over it"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_as_a_whole_is_refused(tree, inputs, settings, message):
    for name in ("here/x.png", "here/sub/y.tif", "twin/a.txt", "a.jpg"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    (tree / "link.png").symlink_to("a.png")
    (tree / "twin/x.png").symlink_to("../a.png")
    with pytest.raises(ConvcliError, match=message) as refused:
        jobs_for(request(*inputs, **settings))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("existing", ["refuse", "overwrite"])
@pytest.mark.parametrize(
    "disguise", ["a.png", "./a.png", "dir/../a.png", "soft.png", "hard.png", "loop/a.png"]
)
def test_an_output_that_is_the_input_in_disguise_is_refused(tree, existing, disguise):
    (tree / "soft.png").symlink_to("a.png")
    (tree / "hard.png").hardlink_to("a.png")
    (tree / "loop").symlink_to(".")
    with pytest.raises(ConvcliError, match=r"is the input; .* use --in-place without -o"):
        jobs_for(request("a.png", output=disguise, existing=existing))


@pytest.mark.parametrize(
    ("existing", "skipped"), [("skip", [True, False]), ("overwrite", [False, False])]
)
def test_what_exists_is_skipped_or_not(existing, skipped):
    jobs = jobs_for(request("a.png", "b.jpg", command="blur", existing=existing))
    assert [job.skip for job in jobs] == skipped


@pytest.mark.parametrize(
    ("settings", "formats"),
    [
        ({"output": "o/"}, ["PNG", "JPEG", None]),  # None: as the file turns out to be
        ({"output": "o/", "format": "tiff"}, ["TIFF"] * 3),
        ({}, ["PNG", "JPEG", None]),
        ({"existing": "in place"}, [None] * 3),  # what they are, whatever they are called
    ],
)
def test_the_suffix_decides_the_format(settings, formats):
    jobs = jobs_for(request("a.png", "b.jpg", "photo", **settings))
    assert [job.format for job in jobs] == formats


@pytest.mark.parametrize(("name", "expected"), [(None, None), ("jpg", "JPEG")])
def test_standard_output_gets_the_own_format_or_the_one_named(name, expected):
    (job,) = jobs_for(request("a.png", output="-", format=name))
    assert (job.target, job.format) == (None, expected)


# --- folders


def test_a_second_run_beside_the_inputs_reads_no_results(tree):
    first = pairs("dir", recursive=True)
    for _, target in first:
        (tree / target).touch()
    assert pairs("dir", recursive=True, existing="overwrite") == first


@pytest.mark.parametrize("output", ["dir/out", "dir/out/", "./dir/../dir/out", "linked"])
def test_an_output_folder_inside_the_input_folder_is_not_read(tree, output):
    before = pairs("dir", recursive=True, output="dir/out/")
    for _, target in before:
        (tree / target).parent.mkdir(parents=True, exist_ok=True)
        (tree / target).touch()
    (tree / "linked").symlink_to("dir/out")
    after = pairs("dir", recursive=True, output=output, existing="overwrite")
    assert [source for source, _ in after] == [source for source, _ in before]


def test_links_to_folders_and_what_is_no_file_are_left_alone(tree):
    before = pairs("dir", recursive=True, output="o")
    (tree / "dir/loop").symlink_to(".")
    (tree / "dir/up").symlink_to("..")
    (tree / "dir/self.png").symlink_to("self.png")
    (tree / "dir/gone.png").symlink_to("nowhere.png")
    os.mkfifo(tree / "dir/fifo.png")  # to open it would wait for ever
    assert pairs("dir", recursive=True, output="o") == before


@pytest.mark.parametrize("how", [{}, {"output": "o.png"}])
def test_a_fifo_by_name_is_refused_without_opening_it(tree, how):
    os.mkfifo(tree / "fifo.png")
    ((_, problem),) = pairs("fifo.png", **how)
    assert problem == "is not a regular file; pipe it in, and name '-'"


def test_a_folder_that_cannot_be_read_is_a_problem_and_the_rest_is_done(tree, monkeypatch):
    whole = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return whole(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert pairs("dir", recursive=True, output="o") == [
        ("dir/x.png", "o/x.png"),
        ("dir/.hidden/h.gif", "o/.hidden/h.gif"),
        ("dir/sub", "Permission denied"),
    ]


# --- lists


@pytest.mark.parametrize(
    ("content", "null", "names"),
    [
        (b"a.png\nb.jpg\n", False, ["a.png", "b.jpg"]),
        (b"a.png\r\n\r\n\nb.jpg", False, ["a.png", "b.jpg"]),
        (b"a.png\0new\nline.png\0", True, ["a.png", "new\nline.png"]),
        (b" lead.png\n-o\n", False, [" lead.png", "-o"]),
        (b"\xff.png\n", False, ["\udcff.png"]),
        ("é.png\n".encode(), False, ["é.png"]),
    ],
)
def test_a_list_names_the_inputs(monkeypatch, content, null, names):
    assert [s for s, _ in pairs(**listed(monkeypatch, content), null=null)] == names


def test_a_list_can_be_a_file(tree):
    (tree / "list").write_text("a.png\nb.jpg\n")
    assert pairs(files_from="list", output="o") == [("a.png", "o/a.png"), ("b.jpg", "o/b.jpg")]


def test_a_list_mirrors_the_tree(monkeypatch):
    names = b"dir/x.png\ndir/sub/x.png\n./a.png\n"
    assert pairs(**listed(monkeypatch, names), output="o") == [
        ("dir/x.png", "o/dir/x.png"),
        ("dir/sub/x.png", "o/dir/sub/x.png"),
        ("a.png", "o/a.png"),
    ]


@pytest.mark.parametrize(
    "name", ["../z.png", "dir/../../z.png", "{climb}{here}/../z.png", "{here}/../z.png"]
)
def test_names_that_climb_stay_inside_the_output_folder(tree, monkeypatch, name):
    (tree.parent / "z.png").touch()
    content = name.format(climb="../" * 20, here=tree).encode()
    ((_, target),) = pairs(**listed(monkeypatch, content), output="o")
    assert os.path.realpath(target).startswith(f"{os.path.realpath(tree)}/o/")
    assert target.endswith("/z.png")


def test_absolute_names_below_here_mirror_the_tree(tree, monkeypatch):
    content = f"{tree}/dir/sub/x.png\n".encode()
    ((_, target),) = pairs(**listed(monkeypatch, content), output="o")
    assert target == "o/dir/sub/x.png"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "--files-from '-': lists no files"),
        (b"\n\r\n", "--files-from '-': lists no files"),
        (b"a.png\0b.jpg\0", "--files-from '-': holds NUL bytes; if `find -print0`.* --null"),
    ],
)
def test_a_list_of_nothing_or_of_another_kind_is_refused(monkeypatch, content, message):
    with pytest.raises(ConvcliError, match=message):
        pairs(**listed(monkeypatch, content))


def test_a_folder_in_a_list_is_a_problem(monkeypatch):
    assert pairs(**listed(monkeypatch, b"dir\na.png\n"), output="o") == [
        ("dir", "is a folder; name it as an input, with -r"),
        ("a.png", "o/a.png"),
    ]


@pytest.mark.parametrize("inputs", [["a.png"], []])
def test_a_name_and_a_format_that_contradict_each_other_are_refused(inputs):
    with pytest.raises(
        ConvcliError, match=r"'x\.jpg' is the name of a JPEG, and --format says PNG"
    ):
        jobs_for(request(*inputs, output="x.jpg", format="png"))
    (job,) = jobs_for(request(*inputs, output="x.jpeg", format="jpg"))
    assert job.format == "JPEG"
