"""Images at URLs: read from a server in parts, and written to one as zarr."""

from __future__ import annotations

import io
import re
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import fsspec
import numpy as np
import pytest
import tifffile
import zarr

from convcli.files import urls
from convcli.filtering.filters import blur as blur_by_any
from convcli.sources.zarr_writing import Record

blur = partial(blur_by_any, method="numpy")

# moto's S3 server takes 150 MB of packages: the tests run where it is installed with s3fs.
SCHEMES = ["memory://convcli"]
if all(map(find_spec, ("moto", "s3fs", "flask"))):
    SCHEMES.append("s3://convcli")


@pytest.fixture
def run(run):
    """Methods may differ by a level: `auto` takes another one once loops are compiled."""
    return lambda *argv: run(*argv, "--method", "numpy")


@pytest.fixture(scope="module")
def s3(request):
    """An S3 server in this process, which botocore's variables lead to."""
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        server = ThreadedMotoServer(port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield
        server.stop()


@pytest.fixture(params=SCHEMES)
def place(request):
    """A bucket, or a folder in memory, that is empty."""
    if request.param.startswith("s3"):
        request.getfixturevalue("s3")
    system, path = fsspec.url_to_fs(request.param)
    system.mkdirs(path, exist_ok=True)
    yield request.param
    system.rm(path, recursive=True)


def put(url, content):
    with fsspec.open(url, "wb") as file:
        file.write(content)


def names_in(url):
    system, path = fsspec.url_to_fs(url)
    system.invalidate_cache()
    return [name.split(path.lstrip("/"), 1)[1] for name in system.find(path)]


def test_arrays_and_tiffs_are_read_from_a_server(place, run, tmp_path, photo):
    content = io.BytesIO()
    np.save(content, photo)
    put(f"{place}/a.npy", content.getvalue())
    content = io.BytesIO()
    tifffile.imwrite(content, photo, tile=(64, 64), compression="lzw")
    put(f"{place}/a.tif", content.getvalue())
    done = run("blur", f"{place}/a.npy", f"{place}/a.tif", "-o", tmp_path / "out")
    assert done.status == 0, done.err
    np.testing.assert_array_equal(np.load(tmp_path / "out/a.npy"), blur(photo))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out/a.tif"), blur(photo))


def test_a_zarr_is_read_and_written_and_its_metadata_come_last(place, run, photo, monkeypatch):
    pixels = np.tile(photo[..., 0], (2, 1))
    zarr.create_array(f"{place}/a.zarr", data=pixels, chunks=(64, 128), shards=(128, 256))
    seen = []

    def add(self, *done, original=Record.add):
        seen.append({name.rsplit("/")[-1] for name in names_in(f"{place}/b.zarr")})
        original(self, *done)

    monkeypatch.setattr(Record, "add", add)
    done = run("blur", f"{place}/a.zarr", "-o", f"{place}/b.zarr")
    assert done.status == 0, done.err
    assert done.message.startswith(f"wrote '{place}/b.zarr'")
    assert len(seen) == 8  # rows of shards
    assert all("zarr.json" not in names for names in seen)
    result = zarr.open_array(f"{place}/b.zarr", mode="r")
    np.testing.assert_array_equal(result[...], blur(pixels))
    assert (result.chunks, result.shards) == ((64, 128), (128, 256))
    assert not any(".convcli" in name for name in names_in(f"{place}/b.zarr"))
    assert "exists; use --overwrite" in run("blur", f"{place}/a.zarr", "-o", f"{place}/b.zarr").err
    skipped = run("blur", f"{place}/a.zarr", "-o", f"{place}/b.zarr", "--skip-existing")
    assert skipped.status == 0
    replaced = run("blur", f"{place}/a.zarr", "-o", f"{place}/b.zarr", "-f", "-s", "1")
    assert replaced.status == 0
    np.testing.assert_array_equal(
        zarr.open_array(f"{place}/b.zarr", mode="r")[...], blur(pixels, sigma=1)
    )


def test_of_two_runs_at_one_url_one_is_refused(place, run, photo, monkeypatch):
    zarr.create_array(f"{place}/a.zarr", data=photo[..., 0], chunks=(128, 512))
    argv = ("blur", f"{place}/a.zarr", "-o", f"{place}/b.zarr")

    def add(self, *done, original=Record.add):
        original(self, *done)
        put(f"{place}/b.zarr/.convcli-done", b'{"mark": "another", "rows": {}}')

    with monkeypatch.context() as patch:
        patch.setattr(Record, "add", add)
        done = run(*argv)
    assert done.status == 1
    assert f"another run has begun to write to '{place}/b.zarr'" in done.message
    assert "unfinished result of other work" in run(*argv, "--skip-existing").message
    assert run(*argv).status == 0
    np.testing.assert_array_equal(
        zarr.open_array(f"{place}/b.zarr", mode="r")[...], blur(photo[..., 0])
    )


def test_an_ome_zarr_goes_to_a_server_with_its_levels(place, run, tmp_path):
    from tests.sources.test_zarr import blurred, image_file, stack

    pixels = stack((2, 150, 170))
    path = image_file(tmp_path / "a.zarr", 3, pixels, levels=2, order="zyx")
    done = run("blur", path, "-o", f"{place}/b.zarr")
    assert done.status == 0, done.err
    before, after = zarr.open_group(path, mode="r"), zarr.open_group(f"{place}/b.zarr", mode="r")
    assert dict(after.attrs) == dict(before.attrs)
    np.testing.assert_array_equal(after["0"][...], blurred(pixels))
    assert after["1"].metadata == before["1"].metadata
    assert after["1"][...].any()


REFUSED = {
    (
        "{}/none.zarr",
        "-o",
        "b.zarr",
    ): "'{}/none.zarr': does not exist, or is not a zarr array or group",
    ("{}/a.txt", "-o", "b.zarr"): "is read from a URL, or written to one, where both it and",
    ("{}/whole.npy", "-o", "-"): "where both it and its output are files of TIFF, .npy or zarr",
    ("{}/cut.npy", "-o", "b.npy"): "'{}/cut.npy': is truncated",
    ("{}/whole.npy",): "nothing is written beside it; name an output with -o",
    ("{}/whole.npy", "-o", "{}/b.tif"): "can be written to a URL only as zarr; name an output",
    ("unknown://a.npy", "-o", "b.npy"): "install the extra 'remote'",
}


@pytest.mark.parametrize("argv", REFUSED, ids=" ".join)
def test_what_cannot_be_done_is_one_line(argv, place, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = io.BytesIO()
    np.save(content, np.zeros((50, 60), np.uint8))
    put(f"{place}/a.txt", b"no image")
    put(f"{place}/whole.npy", content.getvalue())
    put(f"{place}/cut.npy", content.getvalue()[:-1])
    done = run("blur", *(word.format(place) for word in argv))
    assert done.status == 1
    assert (REFUSED[argv].format(place) in done.message, done.out) == (True, b"")
    assert not any(tmp_path.iterdir())


def test_a_server_without_rights_is_named(run, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", refuse)
    done = run("blur", "memory://a/b.npy", "-o", tmp_path / "b.npy")
    assert done.status == 1
    assert "'memory://a/b.npy': cannot be opened: Access Denied" in done.message


class Server(BaseHTTPRequestHandler):
    """Gives one file, in parts or only whole."""

    content = b""
    in_parts = True

    def do_GET(self):
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        first, last = map(int, asked.groups()) if asked and self.in_parts else (0, 1 << 40)
        part = self.content[first : last + 1]
        self.send_response(206 if asked and self.in_parts else 200)
        self.send_header("Content-Length", str(len(part)))
        if self.in_parts:
            end = first + len(part) - 1
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Range", f"bytes {first}-{end}/{len(self.content)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_):
        """Say nothing."""


if find_spec("aiohttp"):

    @pytest.mark.parametrize("in_parts", [True, False])
    def test_a_web_server_gives_parts_of_files_or_is_refused(
        in_parts, run, tmp_path, photo, monkeypatch
    ):
        content = io.BytesIO()
        np.save(content, photo)
        monkeypatch.setattr(Server, "content", content.getvalue())
        monkeypatch.setattr(Server, "in_parts", in_parts)
        with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}/a.npy"
            done = run("blur", url, "-o", tmp_path / "b.npy")
            server.shutdown()
        if in_parts:
            assert done.status == 0, done.err
            np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), blur(photo))
        else:
            assert done.status == 1
            assert "is at a server that gives no parts of files; download it" in done.message


def test_urls_are_told_from_paths():
    assert [urls.is_url(name) for name in ("s3://a/b", "gs://a", "C:\\a", "a://", None, "-")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
