"""Which input becomes which output: tables of requests and their jobs."""

from __future__ import annotations

import gc
import io
import os
import random
import socket
import sys
import unicodedata
from itertools import chain

import pytest

from convcli import ConvcliError, memory
from convcli.files import places
from convcli.files.job import Request
from convcli.files.jobs import jobs_for

TREE = [
    "a.png", "b.jpg", "c.PNG", "photo", "notes.txt", "a.blur.png",
    "dir/x.png", "dir/readme.txt", "dir/sub/y.tif", "dir/sub/x.png", "dir/.hidden/h.gif",
    "other/x.png", "empty/notes.txt", "png.png/in.png",
]  # fmt: skip


NOT_REGULAR = "is not a regular file; to filter it, pipe it to standard input"


@pytest.fixture(autouse=True)
def tree(tmp_path, monkeypatch):
    """Work in a folder of empty files with the names of images; no test opens them."""
    for name in TREE:
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def request(*inputs, command="edge", **settings):
    return Request(command, tuple(map(str, inputs)), **settings)


def pairs(*inputs, **settings):
    """Return (source, target) as text for each job; a problem takes the place of the target."""
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
        (["/dev/null"], {}, [("/dev/null", NOT_REGULAR)]),
        (["empty"], {"recursive": True}, [("empty", "no images found in this folder")]),
        (["notes.txt"], {}, [("notes.txt", "notes.edge.txt")]),  # its content is not known yet
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
        (["-", "a.png"], {}, "standard input .* must be the only input"),
        (["a.png", "b.jpg"], {"output": "-"}, "standard output takes one image"),
        (["dir"], {"output": "-", "recursive": True}, "standard output takes one image"),
        (["a.png"], {"null": True}, "--null needs --files-from"),
        (["a.png"], {"files_from": "list"}, "--files-from and named inputs cannot be"),
        ([], {"files_from": "gone"}, "--files-from 'gone': No such file"),
        ([], {"files_from": "dir"}, "--files-from 'dir': Is a directory"),
        ([], {"files_from": "notes.txt"}, "--files-from 'notes.txt': lists no files"),
        (["a.png"], {"output": "x.foo"},
         r"'x.foo': the suffix '.foo' is unknown; use \.png, .*, or add --format"),
        (["a.png"], {"output": "x"}, "'x' is neither a folder nor .* write 'x/', for a file add"),
        ([], {"output": "x"}, "'x' is neither a folder nor a known file type; "),
        ([], {"output": "dir"}, "-o 'dir' is a folder, but standard input has no name"),
        (["a.png"], {"format": "psd"}, "unknown format 'psd'; it must be png, jpeg"),
        (["a.png"], {"format": ""}, "unknown format ''"),
        (["a.png", "b.jpg"], {"output": "c.PNG"}, "'c.PNG' is not a folder, but several inputs"),
        (["a.png"], {"output": "c.PNG/"}, "'c.PNG/' is not a folder, but the slash"),
        (["a.png", "b.jpg"], {"output": "new.png"}, "'new.png' looks like a file; .* 'new.png/'"),
        (["a.png"], {"existing": "in place", "output": "x.png"}, "--in-place and --output cannot"),
        (["a.png"], {"existing": "in place", "format": "jpg"}, "--in-place and --format cannot"),
        ([], {"existing": "in place"}, "--in-place cannot replace standard input"),
        (["a.png"], {"output": "b.jpg"}, "'b.jpg' exists; use --overwrite, --skip-existing"),
        ([], {"output": "b.jpg"}, "'b.jpg' exists; use --overwrite"),
        (["a.png"], {"command": "blur"}, "'a.blur.png' exists"),
        (["dir"], {"output": "here", "recursive": True}, "'here/x.png' and 1 more exist; use --ov"),
        (["dir/x.png", "other/x.png"], {"output": "o"},
         "'dir/x.png' and 'other/x.png' would both be written to 'o/x.png'"),
        (["dir", "other"], {"output": "o", "recursive": True}, "would both be written to"),
        (["a.png", "./a.png"], {}, "'a.png' and 'a.png' are the same file; name it once"),
        (["a.png", "a.jpg"], {"output": "o", "format": "gif"}, "both be written to 'o/a.gif'"),
        (["a.png", "link.png"], {"existing": "in place"},
         "'a.png' and 'link.png' are the same file; name it once"),
        (["a.png", "a.blur.png"], {"command": "blur", "existing": "overwrite"},
         "the result of 'a.png' would replace 'a.blur.png', which is also an input"),
        (["dir/x.png", "a.png"], {"output": "twin", "existing": "overwrite"},
         "the result of 'dir/x.png' would replace 'twin/x.png', which is also an input"),
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


DISGUISES = [
    (["a.png"], name)
    for name in (
        "a.png", "./a.png", "dir/../a.png", "../here/a.png", "loop/a.png", "{here}/a.png",
        "soft.png", "hard.png", "twin/hard.png", "new/../a.png",  # files
        ".", "./", "dir/..", "loop", "loop/", "{here}", "twin",  # folders
    )
] + [
    (["soft.png"], "a.png"),
    (["hard.png"], "a.png"),
    (["loop/a.png"], None),  # its a.edge.png is a link to it
    (["b.jpg"], None),  # its b.edge.jpg is a hard link to it
    (["loop/dir/../b.jpg"], None),
    (["a.png", "b.jpg"], "."),
    (["dir"], "dir"),
    (["dir"], "loop/dir"),
    (["dir"], "new/../dir"),
    (["dir", "b.jpg"], None),
]  # fmt: skip


@pytest.mark.parametrize("existing", ["refuse", "overwrite", "skip"])
@pytest.mark.parametrize(("inputs", "output"), DISGUISES)
def test_an_output_that_is_the_input_in_disguise_is_not_written(tree, inputs, output, existing):
    (tree / "loop").symlink_to(".")
    (tree / "soft.png").symlink_to("a.png")
    (tree / "a.edge.png").symlink_to("a.png")
    (tree / "twin").mkdir()
    (tree / "twin/a.png").symlink_to("../a.png")
    for name, original in [("hard.png", "a.png"), ("twin/hard.png", "a.png"),
                           ("b.edge.jpg", "b.jpg")]:  # fmt: skip
        (tree / name).hardlink_to(original)
    output = None if output is None else output.format(here=tree)
    asked = request(*inputs, output=output, recursive=True, existing=existing)
    if existing != "skip":
        with pytest.raises(
            ConvcliError, match=r"is both input and output; .* use --in-place without -o"
        ):
            jobs_for(asked)
    else:
        before = [job for job in jobs_for(asked) if job.skip]
        assert before
        assert all(job.skip or job.problem or not job.target.exists() for job in jobs_for(asked))


@pytest.mark.parametrize("existing", ["refuse", "overwrite"])
@pytest.mark.parametrize(("name", "output"), [("a.png", "A.PNG"), ("dir/x.png", "DIR/")])
def test_the_input_in_another_case_is_the_input(ignoring_case, name, output, existing):
    with pytest.raises(ConvcliError, match="is both input and output; "):
        jobs_for(request(name, output=output, existing=existing))


@pytest.mark.parametrize("how", [{}, {"output": "o"}, {"existing": "in place"}])
@pytest.mark.parametrize(
    "inputs",
    [
        ["a.png", "./a.png"], ["a.png", "dir/../a.png"], ["a.png", "b.jpg", "{here}/a.png"],
        ["dir", "dir/"], ["dir", "./dir"], ["dir", "loop/dir"], ["a.png", "loop/a.png"],
    ],
)  # fmt: skip
def test_an_input_that_is_named_twice_is_refused(tree, inputs, how):
    (tree / "loop").symlink_to(".")
    inputs = [name.format(here=tree) for name in inputs]
    with pytest.raises(ConvcliError, match=r"and .* are the same file; name it once"):
        jobs_for(request(*inputs, recursive=True, **how))


def test_a_list_that_names_a_file_twice_is_refused(monkeypatch):
    with pytest.raises(ConvcliError, match=r"'a.png' and 'dir/../a.png' are the same file"):
        pairs(**listed(monkeypatch, b"a.png\nb.jpg\ndir/../a.png\n"))


# --- file systems that ignore case


@pytest.fixture
def ignoring_case(monkeypatch):
    """Simulate a file system that ignores case."""

    def ignoring(function):
        def call(path, *more, **settings):
            folder = os.fsdecode(path).rstrip("/")
            found = next((name for name in names if name.lower() == folder.lower()), folder)
            return function(found, *more, **settings)

        return call

    names = [*TREE, *map(os.path.dirname, TREE), "hollow"]
    names += [os.path.join(os.getcwd(), name) for name in names]
    for name in ("stat", "lstat", "listdir"):
        monkeypatch.setattr(os, name, ignoring(getattr(os, name)))


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
ALIKE = [
    ("X.png", "x.png"), ("x.png", "x.PNG"), (COMPOSED, DECOMPOSED), (COMPOSED, "E\u0301.PNG"),
    ("new/A/x.png", "new/a/x.png"), (f"{DECOMPOSED}/x.png", f"{COMPOSED}/x.png"),
]  # fmt: skip


@pytest.mark.parametrize("how", [{}, {"output": "o"}, {"existing": "in place"}])
@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_the_disk_takes_for_one_are_refused(tree, monkeypatch, one, other, how):
    (tree / "in").mkdir()
    for name in (one, other, "between.png"):
        (tree / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / "in" / name).touch()
    asked = request("in", recursive=True, **how)
    monkeypatch.setattr(places, "ignores_case", lambda folder: False)
    assert len(jobs_for(asked)) == 3
    monkeypatch.setattr(places, "ignores_case", lambda folder: True)
    with pytest.raises(ConvcliError, match=r"both be written to .* the file system ignores case"):
        jobs_for(asked)
    with pytest.raises(ConvcliError) as refused:
        jobs_for(asked)
    assert all(repr(f"in/{name}") in str(refused.value) for name in (one, other))


def test_a_disk_is_not_looked_at_without_need(tree, monkeypatch):
    looked_at = []
    monkeypatch.setattr(places, "ignores_case", looked_at.append)  # returns None: no
    assert len(pairs("dir", recursive=True, output="o")) == 4
    assert looked_at == []
    (tree / "dir/sub/X.PNG").touch()
    assert len(pairs("dir", recursive=True, output="o")) == 5
    assert looked_at == [str(tree / "o/sub")]


@pytest.mark.parametrize("ignoring", [True, False])
def test_a_name_that_comes_again_is_found_among_others_of_its_kind(tree, monkeypatch, ignoring):
    monkeypatch.setattr(places, "ignores_case", lambda folder: ignoring)
    (tree / "A.png").touch()
    with pytest.raises(
        ConvcliError, match="both be written to" if ignoring else "are the same file"
    ):
        jobs_for(request("A.png", "a.png", "./a.png"))


@pytest.mark.parametrize("folder", ["", "dir", "dir/sub", "new", "dir/new/er", "hollow"])
def test_a_disk_that_ignores_case_is_known_by_what_is_there(tree, request, folder):
    (tree / "hollow").mkdir()
    (tree / "B.JPG").touch()
    if (tree / "b.jpg").samefile(tree / "B.JPG"):
        pytest.skip("this disk itself ignores case")
    (tree / "B.JPG").unlink()
    assert not places.ignores_case(str(tree / folder))
    request.getfixturevalue("ignoring_case")
    assert places.ignores_case(str(tree / folder))


@pytest.mark.parametrize("how", ["hardlink_to", "symlink_to"])
def test_two_names_of_one_file_do_not_make_a_disk_ignore_case(tree, how):
    (tree / "links").mkdir()
    (tree / "links/a").touch()
    if (tree / "links/A").exists():
        pytest.skip("this disk itself ignores case")
    getattr(tree / "links/A", how)(tree / "links/a")
    assert not places.ignores_case(str(tree / "links"))


@pytest.mark.usefixtures("ignoring_case")
def test_an_empty_disk_is_not_judged_by_the_one_it_is_mounted_on(tree, monkeypatch):
    (tree / "hollow").mkdir()
    assert places.ignores_case(str(tree / "hollow"))
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    assert not places.ignores_case(str(tree / "hollow"))


@pytest.mark.parametrize(
    ("existing", "skipped"), [("skip", [True, False]), ("overwrite", [False, False])]
)
def test_what_exists_is_skipped_or_not(existing, skipped):
    jobs = jobs_for(request("a.png", "b.jpg", command="blur", existing=existing))
    assert [job.skip for job in jobs] == skipped


@pytest.mark.parametrize(
    ("settings", "formats"),
    [
        ({"output": "o/"}, ["PNG", "JPEG", None]),  # None: the format of the content
        ({"output": "o/", "format": "tiff"}, ["TIFF"] * 3),
        ({}, ["PNG", "JPEG", None]),
        ({"existing": "in place"}, [None] * 3),  # the format of the content
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


def name_of(place):
    """Return the path of a folder that is given by its path or by its descriptor."""
    return os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else os.fspath(place)


def test_an_output_folder_that_another_run_makes_meanwhile_is_not_read(tree, monkeypatch):
    before = pairs("dir", recursive=True, output="dir/sub/out")
    whole = os.scandir

    def scandir(path):
        if name_of(path).endswith("sub"):
            (tree / "dir/sub/out").mkdir(exist_ok=True)
            (tree / "dir/sub/out/new.png").touch()
        return whole(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert pairs("dir", recursive=True, output="dir/sub/out") == before


def notes(*inputs, **settings):
    said = []
    jobs_for(
        request(*inputs, **settings), lambda text, about: said.append(f"{about}: note: {text}")
    )
    return said


@pytest.fixture
def odd(tree):
    """A folder of what a walk skips, and two images."""
    odd = tree / "odd"
    (odd / "dir.png").mkdir(parents=True)
    for name in ("a.png", "dir.png/b.png", "._a.png", "notes.txt", "dir.png/.png"):
        (odd / name).touch()
    (odd / "loop").symlink_to(".")
    (odd / "up.png").symlink_to("..")
    (odd / "here").symlink_to("there")
    (odd / "there").symlink_to("here")
    (odd / "gone.png").symlink_to("nowhere.png")
    (odd / "fifo.png").symlink_to("fifo")
    os.mkfifo(odd / "fifo")  # opening it would block for ever
    os.mkfifo(odd / "dir.png/fifo.png")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("odd/socket.png")
    (odd / "null.png").symlink_to("/dev/null")
    return odd


PICTURES = [("odd/a.png", "o/a.png"), ("odd/dir.png/b.png", "o/dir.png/b.png")]


@pytest.mark.usefixtures("odd")
def test_what_is_no_picture_is_skipped_and_counted():
    assert pairs("odd", recursive=True, output="o") == PICTURES
    (note,) = notes("odd", recursive=True, output="o")
    assert note == (
        "'odd': note: skipped 3 files: 1 AppleDouble, 1 text, 1 without a suffix; "
        "2 links to folders; 3 broken links; 5 special files"
    )


def test_a_note_is_one_line_for_each_folder_that_was_walked(tree, odd):
    (tree / "new\nline").mkdir()
    (tree / "new\nline/x.png").touch()
    (tree / "new\nline/notes.txt").touch()
    said = notes("other", "new\nline", "dir", recursive=True)
    assert said == [
        r"'new\nline': note: skipped 1 file: 1 text",
        "'dir': note: skipped 1 file: 1 text",
    ]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.heic", "b.NEF", "readme.md"], "3 files: 1 HEIC, 1 NEF, 1 text"),
        (["a.txt", "b.md", "c.jxl", "d.cr2"], "4 files: 2 text, 1 CR2, 1 JPEG XL"),
        (["a.svg", "b.pdf", "c.psd", "d.cr2", "e.svg"], "5 files: 2 SVG, 1 CR2, 1 PDF, 1 PSD"),
        (
            ["a.svg", "b.pdf", "c.psd", "d.cr2", "e.svg", "f.zip", "g.zip", "h.mp4"],
            "8 files: 2 SVG, 2 ZIP, 1 CR2, 1 MP4, 2 others",
        ),
        (
            ["a.1", "b.tar.gz", "Makefile", ".hidden", "c."],
            "5 files: 3 without a suffix, 1 GZ, 1 other",
        ),
        (["a.\x1b[2J", "On St. Petersburg", "a.\u202e", "notes.2024"], "4 files: 4 others"),
        (["._a.png", "._b.txt"], "2 files: 2 AppleDouble"),
    ],
)
def test_files_are_counted_by_kind(tree, names, said):
    (tree / "kinds").mkdir()
    for name in ("a.png", *names):
        (tree / "kinds" / name).touch()
    assert notes("kinds", recursive=True, output="o") == [f"'kinds': note: skipped {said}"]


def test_results_of_an_earlier_run_are_counted(tree):
    (tree / "other/x.edge.png").touch()
    said = notes("other", recursive=True, existing="overwrite")
    assert said == ["'other': note: skipped 1 earlier result of edge"]
    assert notes("other", recursive=True, output="o") == []


def test_in_place_no_name_is_that_of_a_result(tree):
    (tree / "other/x.edge.png").touch()
    names = ["other/x.edge.png", "other/x.png"]
    found = pairs("other", recursive=True, existing="in place")
    assert found == [(name, name) for name in names]


@pytest.mark.parametrize("how", [{"output": "o"}, {}, {"existing": "in place"}])
@pytest.mark.parametrize(
    "leads", ["../a.png", "{here}/a.png", "sub/../../a.png", "sub/next", "../dir-2/x.png"]
)
def test_a_link_that_leaves_the_folder_is_a_problem_and_not_read(tree, leads, how):
    before = pairs("dir", recursive=True, **how)
    (tree / "dir-2").mkdir()
    (tree / "dir-2/x.png").touch()
    (tree / "dir/sub/next").symlink_to("../../a.png")
    (tree / "dir/sub/link.png").symlink_to(tree / "dir" / leads.format(here=tree))
    after = pairs("dir", recursive=True, **how)
    problem = "is a link to a file outside the folder; to filter that file, name it as an input"
    assert set(after) - set(before) == {("dir/sub/link.png", problem)}
    assert len(after) == len(before) + 1
    ((_, problem),) = set(pairs("dir/sub/link.png")) - set(after)
    assert problem == "dir/sub/link.edge.png"


def test_a_link_to_a_picture_in_the_folder_is_one_too(tree):
    (tree / "dir/link.png").symlink_to("sub/x.png")
    (tree / "dir/far.png").symlink_to(tree / "dir/sub/y.tif")
    (tree / "root").symlink_to("dir")
    for root in ("dir", "root", "./dir/", f"{tree}/root"):
        targets = [target for _, target in pairs(root, recursive=True, output="o")]
        assert targets[:3] == ["o/far.png", "o/link.png", "o/x.png"]


@pytest.mark.parametrize("existing", ["refuse", "overwrite", "skip"])
@pytest.mark.parametrize(
    ("name", "leads", "lost"),
    [
        ("o/sub", "../other", ["o/sub/x.png", "o/sub/y.tif"]),
        ("o/sub", "{here}/o-2", ["o/sub/x.png", "o/sub/y.tif"]),
        ("o/sub", "../made/later", ["o/sub/x.png", "o/sub/y.tif"]),
        ("o/.hidden", "..", ["o/.hidden/h.gif"]),
        ("o/sub", "second", []),
        ("o", "other/o", []),
    ],
)
def test_nothing_is_written_outside_of_the_output_folder(tree, name, leads, lost, existing):
    before = pairs("dir", recursive=True, output="o")
    for folder in ("o/second", "o-2", "other/o")[: 3 if name != "o" else 0]:
        (tree / folder).mkdir(parents=True)
    (tree / "other/o").mkdir(exist_ok=True)
    (tree / name).symlink_to(leads.format(here=tree))
    if (existing, leads) == ("refuse", "../other"):
        (tree / "other/x.png").unlink()  # otherwise refused as an existing output
    after = pairs("dir", recursive=True, output="o", existing=existing)
    assert len(after) == len(before)
    for (source, target), (_, now) in zip(before, after, strict=True):
        if target not in lost:
            assert now == target
        else:
            place = os.path.realpath(target)
            assert now == (
                f"would be written outside 'o', because a link leads to {place!r}; "
                "remove the link or choose another -o"
            ), source


@pytest.mark.parametrize(("leads", "outside"), [("../new.png", True), ("new.png", False)])
@pytest.mark.parametrize(
    ("inputs", "how"),
    [(["dir"], {}), (["dir"], {"output": "o"}), (["dir/x.png"], {"output": "o/"})],
)
def test_an_output_that_is_a_link_stays_inside_too(tree, inputs, how, leads, outside):
    (tree / "o").mkdir()
    (tree / "o/x.png").symlink_to(leads)
    (tree / "dir/x.edge.png").symlink_to(leads)
    asked = request(*inputs, **how, recursive=True, existing="overwrite")
    assert bool(jobs_for(asked)[0].problem) == outside


def test_in_place_a_link_to_an_image_of_the_folder_is_skipped(tree):
    (tree / "dir/link.png").symlink_to("sub/x.png")
    (tree / "dir/sub/up.png").symlink_to(tree / "dir/x.png")
    (tree / "dir/chain.png").symlink_to("link.png")
    before = pairs("dir", recursive=True, output="o")
    names = [name for name, _ in before if os.path.basename(name)[0] not in "luc"]
    asked = {"recursive": True, "existing": "in place"}
    assert pairs("dir", **asked) == [(name, name) for name in names]
    said = "'dir': note: skipped 1 file: 1 text"
    assert notes("dir", **asked) == [f"{said}; 3 links to images in it"]
    assert notes("dir", recursive=True, output="o") == [said]


def test_in_place_a_file_that_only_links_name_as_an_image_is_filtered_once(tree):
    (tree / "dir/original").touch()
    for name in ("one.png", "two.png"):
        (tree / "dir" / name).symlink_to("original")
    asked = {"recursive": True, "existing": "in place"}
    linked = [name for name, _ in pairs("dir", **asked) if name in ("dir/one.png", "dir/two.png")]
    assert len(linked) == 1
    said = "'dir': note: skipped 2 files: 1 text, 1 without a suffix; 1 link to an image in it"
    assert notes("dir", **asked) == [said]


def test_in_place_a_link_that_is_named_beside_its_folder_is_named_twice(tree):
    (tree / "dir/link.png").symlink_to("x.png")
    with pytest.raises(ConvcliError, match="are the same file; name it once"):
        jobs_for(request("dir", "dir/link.png", recursive=True, existing="in place"))


@pytest.mark.parametrize(
    ("inputs", "how", "within"),
    [
        (["dir"], {"output": "o"}, "o"),
        (["dir"], {"output": "linked"}, "empty"),
        (["dir"], {}, "dir"),
        (["dir"], {"existing": "in place"}, "dir"),
        (["dir/sub/x.png"], {"existing": "in place"}, "dir/sub"),
        (["dir/x.png"], {}, "dir"),
        (["dir/x.png"], {"output": "o/"}, "o"),
        (["dir/x.png"], {"output": "linked/new.png"}, "empty"),
        (["dir/x.png"], {"output": "soft.png", "existing": "overwrite"}, "empty"),
        (["dir/x.png"], {"output": "new/deep/one.png"}, "new/deep"),
        ([], {"output": "linked/new.png"}, "empty"),
    ],
)
def test_a_job_knows_the_folder_that_its_output_stays_in(tree, inputs, how, within):
    """The folder where links led when the run began; later ones lead nowhere else."""
    (tree / "empty").mkdir(exist_ok=True)
    (tree / "linked").symlink_to("empty")
    (tree / "soft.png").symlink_to("empty/elsewhere.png")
    jobs = jobs_for(request(*inputs, recursive=True, **how))
    assert {job.within for job in jobs} == {os.path.realpath(tree / within)}
    walked = inputs == ["dir"]
    assert {job.found_in for job in jobs} == {os.path.realpath(tree / "dir") if walked else None}


def test_an_output_that_is_named_may_lead_anywhere(tree):
    (tree / "soft.png").symlink_to("../elsewhere.png")
    assert pairs("a.png", output="soft.png", existing="overwrite") == [("a.png", "soft.png")]


@pytest.mark.parametrize("how", [{}, {"output": "o.png"}])
def test_a_fifo_by_name_is_refused_without_opening_it(tree, how):
    os.mkfifo(tree / "fifo.png")
    ((_, problem),) = pairs("fifo.png", **how)
    assert problem == NOT_REGULAR


@pytest.mark.parametrize("functions", [["scandir"], ["scandir", "stat"]])
def test_a_folder_that_cannot_be_read_is_a_problem_and_the_rest_is_done(monkeypatch, functions):
    def refusing(function):
        def call(path, **settings):
            if name_of(path).endswith("sub"):
                raise PermissionError(13, "Permission denied", path)
            return function(path, **settings)

        return call

    for name in functions:
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
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
        (b"\xef\xbb\xbfa.png\nb.jpg", False, ["a.png", "b.jpg"]),
        ("a.png\r\né.png\r\n".encode("utf-16"), False, ["a.png", "é.png"]),
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
        (b"a.png\0b.jpg\0", "--files-from '-': contains NUL bytes; add --null"),
        (b"\xff\xfea\0.", "--files-from '-': is neither UTF-8 nor UTF-16"),
        ("a\0.png".encode("utf-16"), "--files-from '-': is neither UTF-8 nor UTF-16"),
    ],
)
def test_a_list_of_nothing_or_of_another_kind_is_refused(monkeypatch, content, message):
    with pytest.raises(ConvcliError, match=message):
        pairs(**listed(monkeypatch, content))


class Endless(io.RawIOBase):
    """A pipe without an end, of the same bytes again and again."""

    def __init__(self, content):
        self.content, self.taken = content, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:] = (self.content * (len(buffer) // len(self.content) + 1))[: len(buffer)]
        self.taken += len(buffer)
        return len(buffer)


@pytest.mark.parametrize(
    ("content", "null", "message", "most"),
    [
        (b"x", False, "'-': contains a name of more than 65536 bytes", 300_000),
        (b"x", True, "'-': contains a name of more than 65536 bytes", 300_000),
        (b"\0", False, "'-': contains NUL bytes", 100_000),
        (b"\0", True, "'-': lists more than 10000000 files", 11_000_000),
        (b"y\n", False, "'-': lists more than 10000000 files", 21_000_000),
    ],
)
def test_a_list_without_an_end_is_refused(monkeypatch, content, null, message, most):
    endless = Endless(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(endless)))
    with pytest.raises(ConvcliError, match=message):
        jobs_for(request(files_from="-", null=null))
    assert endless.taken < most


def test_a_list_that_does_not_fit_into_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 25_000)
    monkeypatch.setattr(memory, "_ALWAYS_FREE", 0)
    with pytest.raises(ConvcliError, match=r"'-': needs about .* of memory"):
        pairs(**listed(monkeypatch, b"a.png\n" * 100), output="o")


def test_a_folder_in_a_list_is_a_problem(monkeypatch):
    assert pairs(**listed(monkeypatch, b"dir\na.png\n"), output="o") == [
        ("dir", "is a folder; to filter it, name it as an input with -r"),
        ("a.png", "o/a.png"),
    ]


@pytest.mark.parametrize("inputs", [["a.png"], []])
def test_a_name_and_a_format_that_contradict_each_other_are_refused(inputs):
    with pytest.raises(
        ConvcliError, match=r"suffix of -o 'x\.jpg' means JPEG, but --format says PNG"
    ):
        jobs_for(request(*inputs, output="x.jpg", format="png"))
    (job,) = jobs_for(request(*inputs, output="x.jpeg", format="jpg"))
    assert job.format == "JPEG"


# --- parts


def parts(count, *inputs, **settings):
    return [pairs(*inputs, shard=f"{n + 1}/{count}", **settings) for n in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 100])
@pytest.mark.parametrize(
    ("inputs", "how"),
    [
        (["dir"], {"output": "o"}),
        (["other", "dir", "b.jpg", "a.png", "gone.png"], {}),
        (["a.png"], {"output": "new.png"}),
        (["a.png", "a.blur.png"], {"existing": "in place"}),
    ],
)
def test_parts_are_disjoint_and_equal_and_together_everything(inputs, how, count):
    whole = pairs(*inputs, recursive=True, **how)
    shared = parts(count, *inputs, recursive=True, **how)
    assert sorted(chain(*shared)) == sorted(whole)
    sizes = {len(part) for part in shared}
    assert max(sizes) - min(sizes) <= 1


def test_parts_are_the_same_wherever_the_folder_is(tree):
    first = parts(3, "dir", recursive=True, output="o")
    for number in range(9):
        (tree / f"dir/{number}.png").touch()
    before = parts(3, "dir", recursive=True, output="o")
    assert before != first
    (tree / "dir").rename(tree.parent / "zoo")
    (tree / "linked").symlink_to("../zoo")
    for root in ("../zoo", "linked", f"{tree.parent}/zoo/"):
        moved = parts(3, root, recursive=True, output="o")
        assert [[t for _, t in part] for part in moved] == [[t for _, t in part] for part in before]


def test_parts_of_several_folders_are_the_same_wherever_they_are(tree):
    def places(*roots):
        return [
            [
                os.path.relpath(source, root)
                for source, _ in part
                for root in roots
                if root in source
            ]
            for part in parts(3, *roots, recursive=True)
        ]

    (tree / "dir/sub/y.tif").touch()
    before = places("dir", "other")
    (tree / "dir").rename(tree / "zoo")
    assert places("zoo", "other") == before


def test_parts_are_the_same_in_whatever_order_they_are_listed(tree, monkeypatch):
    names = ["a.png", "b.jpg", "./c.PNG", "dir/x.png", "dir/sub/x.png", f"{tree}/other/x.png"]
    listings = set()
    for seed in range(5):
        random.Random(seed).shuffle(names)
        content = "\n".join(names).encode()
        shared = [
            tuple(pairs(**listed(monkeypatch, content), output="o", shard=f"{n}/4"))
            for n in range(1, 5)
        ]
        listings.add(tuple(shared))
    assert len(listings) == 1


def test_without_parts_the_order_is_that_of_the_inputs():
    assert [source for source, _ in pairs("b.jpg", "a.png", output="o")] == ["b.jpg", "a.png"]


def test_every_part_refuses_what_the_whole_would(tree):
    clash = {"output": "o", "format": "gif"}
    (tree / "a.jpg").touch()
    for n in (1, 2, 3):
        with pytest.raises(ConvcliError, match="would both be written to"):
            jobs_for(request("a.png", "a.jpg", "b.jpg", shard=f"{n}/3", **clash))
        with pytest.raises(ConvcliError, match="is also an input"):
            jobs_for(request("a.png", "a.blur.png", command="blur", shard=f"{n}/3"))


def test_what_another_part_has_written_is_no_reason_to_refuse(tree):
    first, second = parts(2, "dir", recursive=True)
    for _, target in first:
        (tree / target).touch()
    with pytest.raises(ConvcliError, match="and 1 more exist"):
        pairs("dir", recursive=True, shard="1/2")
    assert pairs("dir", recursive=True, shard="2/2") == second
    again = jobs_for(request("dir", recursive=True, shard="1/2", existing="skip"))
    assert [job.skip for job in again] == [True] * len(first)


@pytest.mark.parametrize(
    "shard",
    ["0/4", "5/4", "1/0", "x", "", "1", "1/", "/4", "-1/4", "1/4/2", "1.0/4", " 1/4", "²/4"],
)
def test_a_part_that_is_none_is_refused(shard):
    with pytest.raises(ConvcliError, match=r"--shard must be I/N .*, such as 1/4, not ") as refused:
        jobs_for(request("a.png", shard=shard))
    assert str(refused.value).endswith(repr(shard))


@pytest.mark.parametrize("inputs", [[], ["-"]])
@pytest.mark.parametrize("output", [None, "new.png"])
def test_standard_input_has_no_parts(inputs, output):
    with pytest.raises(ConvcliError, match="--shard divides several inputs"):
        jobs_for(request(*inputs, output=output, shard="1/2"))


# --- many


@pytest.mark.parametrize(
    ("how", "limit"), [({"output": "o"}, 180), ({}, 250), ({"existing": "in place"}, 180)]
)
def test_a_long_list_takes_little_memory(tree, how, limit):
    """Bytes per job, each string counted once. Two Paths would take 700 bytes more."""
    folder = tree / "a-folder-with-a-name-that-is-rather-long-and-that-all-its-pictures-share"
    folder.mkdir()
    for number in range(1000):
        (folder / f"IMG_{number:07}.jpg").touch()
    found = jobs_for(request(folder, recursive=True, **how))
    assert len(found) == 1000
    parts = chain(found, *(gc.get_referents(job) for job in found))
    assert sum({id(part): sys.getsizeof(part) for part in parts}.values()) < limit * len(found)


def test_a_folder_in_the_place_of_a_result_is_no_result(tree):
    (tree / "out/a.png").mkdir(parents=True)
    first, _ = jobs_for(request("a.png", "b.jpg", output="out", existing="skip"))
    assert (first.skip, first.problem) == (
        False,
        "its output 'out/a.png' is a folder; choose another -o",
    )
