"""Models behind a real web server: one that works, and one that lies, stalls, breaks off and redirects."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import logging
import stat
import tarfile
import time
import zipfile

import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.store import fetch, obtain
from fairtrial_servers.store.interface import UnreachableError
from servers.store.conftest import Page

CONTENT = bytes(range(256)) * 5000


@pytest.fixture(autouse=True)
def _hasty(monkeypatch):
    monkeypatch.setattr("fairtrial_servers.store.http.PAUSES", (0.0, 0.0))


def left_in(cache):
    return [*(cache / "models").iterdir(), *(cache / "incoming").iterdir()]


def test_a_file_is_fetched_once_and_asked_for_again(web, tmp_path):
    web.pages["/wine.joblib"] = Page(CONTENT, etag='"1"')
    told = []
    path = fetch(f"{web.url}/wine.joblib", tmp_path, lambda done, total: told.append((done, total)))
    assert (path.name, path.read_bytes()) == ("wine.joblib", CONTENT)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(f"{web.url}/wine.joblib", tmp_path) == path
    assert web.asked == ["GET /wine.joblib 200", "GET /wine.joblib 304"]


def test_a_file_that_was_replaced_is_fetched_again_and_the_old_one_stays(web, tmp_path):
    web.pages["/m.onnx"] = Page(b"one", etag='"1"')
    old = fetch(f"{web.url}/m.onnx", tmp_path)
    web.pages["/m.onnx"] = Page(b"two", etag='"2"')
    new = fetch(f"{web.url}/m.onnx", tmp_path)
    assert (old.read_bytes(), new.read_bytes()) == (b"one", b"two")


def test_a_server_with_neither_tag_nor_date_is_asked_for_the_whole_each_time(web, tmp_path):
    web.pages["/m.onnx"] = Page(b"one")
    assert fetch(f"{web.url}/m.onnx", tmp_path) == fetch(f"{web.url}/m.onnx", tmp_path)
    assert web.served() == 2


def test_a_date_will_do_for_a_version(web, tmp_path):
    web.pages["/m.onnx"] = Page(b"one", headers={"Last-Modified": "Sat, 01 Nov 2025 00:00:00 GMT"})
    fetch(f"{web.url}/m.onnx", tmp_path)
    record = next((tmp_path / "cache" / "addresses").glob("*.json")).read_text()
    assert "last-modified: Sat, 01 Nov 2025" in record


def test_a_truncated_file_is_never_served(web, tmp_path, cache):
    web.pages["/m.onnx"] = Page(CONTENT[:-1], length=len(CONTENT))
    with pytest.raises(UnreachableError, match=r"m\.onnx cannot be fetched: peer closed connection"):
        fetch(f"{web.url}/m.onnx", tmp_path)
    assert web.served() == 3  # attempts
    assert left_in(cache) == []
    web.pages["/m.onnx"] = Page(CONTENT)
    assert fetch(f"{web.url}/m.onnx", tmp_path).read_bytes() == CONTENT


def test_a_truncated_file_of_chunks_is_never_served(web, tmp_path, cache):
    cut = b"%x\r\n" % len(CONTENT) + CONTENT[:-1]
    web.pages["/m.onnx"] = Page(cut, headers={"Transfer-Encoding": "chunked"})
    with pytest.raises(UnreachableError, match="incomplete chunked read"):
        fetch(f"{web.url}/m.onnx", tmp_path)
    assert left_in(cache) == []
    whole = b"%x\r\n" % len(CONTENT) + CONTENT + b"\r\n0\r\n\r\n"
    web.pages["/m.onnx"] = Page(whole, headers={"Transfer-Encoding": "chunked"})
    assert fetch(f"{web.url}/m.onnx", tmp_path).read_bytes() == CONTENT


def test_a_length_that_nobody_says_could_hide_a_truncation(web, tmp_path):
    web.pages["/m.onnx"] = Page(CONTENT, length=-1, headers={"Connection": "close"})
    with pytest.raises(ModelError, match="whether all of it came"):
        fetch(f"{web.url}/m.onnx", tmp_path)
    md5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    web.pages["/m.onnx"].headers["Content-MD5"] = md5
    assert fetch(f"{web.url}/m.onnx", tmp_path).read_bytes() == CONTENT


def test_more_than_was_announced_is_not_taken(web, tmp_path):
    web.pages["/m.onnx"] = Page(b"one and more", length=3)
    assert fetch(f"{web.url}/m.onnx", tmp_path).read_bytes() == b"one"


@pytest.mark.parametrize("header", ["Content-MD5", "Digest", "Repr-Digest"])
def test_a_checksum_of_the_servers_is_held_against_what_came(web, tmp_path, cache, header):
    def stated(content: bytes) -> str:
        sha = base64.b64encode(hashlib.sha256(content).digest()).decode()
        return {
            "Content-MD5": base64.b64encode(hashlib.md5(content).digest()).decode(),
            "Digest": f"SHA-256={sha}",
            "Repr-Digest": f"sha-256=:{sha}:",
        }[header]

    web.pages["/m.onnx"] = Page(CONTENT, headers={header: stated(b"other")})
    with pytest.raises(UnreachableError, match="broken on its way"):
        fetch(f"{web.url}/m.onnx", tmp_path)
    assert left_in(cache) == []
    web.pages["/m.onnx"] = Page(CONTENT, headers={header: stated(CONTENT)})
    assert fetch(f"{web.url}/m.onnx", tmp_path).read_bytes() == CONTENT


def test_a_digest_in_the_address_is_demanded_and_needs_no_server_later(web, tmp_path):
    digest = hashlib.sha256(CONTENT).hexdigest()
    web.pages["/m.onnx"] = Page(CONTENT)
    path = fetch(f"{web.url}/m.onnx#sha256={digest}", tmp_path)
    web.pages.clear()
    assert fetch(f"{web.url}/m.onnx#sha256={digest}", tmp_path) == path
    web.pages["/m.onnx"] = Page(b"other")
    with pytest.raises(ModelError, match="not the model that was asked for: it is sha256:"):
        fetch(f"{web.url}/m.onnx#sha256={'0' * 64}", tmp_path)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (Page(status=404), "no model to be had at .*/m.onnx: 404, there is none"),
        (Page(status=403), "403, access is denied"),
        (Page(user="Basic eA=="), "401, it asks for credentials, which ~/.netrc may hold"),
        (Page(status=204), "204, No Content"),
        (Page(status=500), "the server fails with 500 Internal Server Error"),
        (Page(status=302, headers={"Location": "/m.onnx"}), "redirects in circles"),
        (Page(status=302, headers={"Location": "file:///etc/hostname"}), "no address of a web server"),
    ],
)
def test_a_server_that_has_no_model_is_said_so(web, tmp_path, page, words):
    web.pages["/m.onnx"] = page
    with pytest.raises(ModelError, match=words):
        fetch(f"{web.url}/m.onnx", tmp_path)


def test_a_server_that_fails_now_and_then_is_asked_again(web, tmp_path):
    web.pages["/m.onnx"] = Page(b"one", failures=2)
    assert fetch(f"{web.url}/m.onnx", tmp_path).read_bytes() == b"one"


def test_a_redirect_is_followed_and_the_addresss_name_kept(web, tmp_path):
    web.pages["/latest.onnx"] = Page(status=302, headers={"Location": "/blobs/7f3a"})
    web.pages["/download"] = Page(status=307, headers={"Location": "/named"})
    web.pages["/blobs/7f3a"] = Page(b"one")
    web.pages["/named"] = Page(b"two", headers={"Content-Disposition": 'attachment; filename="../w.onnx"'})
    assert fetch(f"{web.url}/latest.onnx", tmp_path).name == "latest.onnx"
    assert fetch(f"{web.url}/download?id=7", tmp_path).name == "w.onnx"


def test_a_server_that_stalls_is_given_up(web, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRTRIAL_FETCH_TIMEOUT", "0.2")
    web.pages["/m.onnx"] = Page(CONTENT, pause=1, pieces=2)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="does not answer in time"):
        fetch(f"{web.url}/m.onnx", tmp_path)
    assert time.monotonic() - began < 5


def test_a_server_that_is_slow_is_waited_for(web, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRTRIAL_FETCH_TIMEOUT", "1")
    web.pages["/m.onnx"] = Page(CONTENT, pause=0.1, pieces=15)
    told = []
    fetch(f"{web.url}/m.onnx", tmp_path, lambda done, total: told.append(done))
    assert len(set(told)) > 3


def test_no_server_at_all_is_said_so(tmp_path, free_ports):
    with pytest.raises(UnreachableError, match=r"cannot be fetched: .*refused"):
        fetch(f"http://127.0.0.1:{free_ports(1)[0]}/m.onnx", tmp_path)


def test_a_copy_is_served_while_the_server_is_down_only_where_that_is_permitted(web, tmp_path, monkeypatch):
    web.pages["/m.onnx"] = Page(b"one", etag='"1"')
    path = fetch(f"{web.url}/m.onnx", tmp_path)
    web.pages["/m.onnx"] = Page(status=503)
    with pytest.raises(UnreachableError, match=r"a copy .* FAIRTRIAL_CACHE_STALE=1 permits it"):
        fetch(f"{web.url}/m.onnx", tmp_path)
    monkeypatch.setenv("FAIRTRIAL_CACHE_STALE", "1")
    assert fetch(f"{web.url}/m.onnx", tmp_path) == path
    web.pages["/m.onnx"] = Page(status=404)  # a model that was taken away is no outage
    with pytest.raises(ModelError, match="404"):
        fetch(f"{web.url}/m.onnx", tmp_path)


def test_credentials_are_taken_from_netrc(web, tmp_path):
    token = base64.b64encode(b"ann:s3cret").decode()
    web.pages["/m.onnx"] = Page(b"one", user=f"Basic {token}")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password s3cret\n")
    assert fetch(f"{web.url}/m.onnx", tmp_path).read_bytes() == b"one"


def tar(**files: bytes | str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                made.addfile(member)
            else:
                member.size = len(content)
                made.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def zipped(*files: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files:
            made.writestr(name, content)
    return packed.getvalue()


def test_an_archive_of_a_folder_is_unpacked(web, tmp_path):
    web.pages["/wine.tar.gz"] = Page(tar(**{"wine/MLmodel": b"m", "wine/data/model.onnx": b"o"}), etag='"1"')
    folder = fetch(f"{web.url}/wine.tar.gz", tmp_path)
    assert (folder / "MLmodel").read_bytes() == b"m"
    assert (folder / "data" / "model.onnx").read_bytes() == b"o"
    assert fetch(f"{web.url}/wine.tar.gz", tmp_path) == folder
    assert web.asked[-1].endswith("304")


def test_an_archive_of_one_file_is_that_file_and_of_several_a_folder(web, tmp_path):
    web.pages["/a.tgz"] = Page(tar(**{"deep/m.onnx": b"m"}))
    web.pages["/b.zip"] = Page(zipped(("m.onnx", b"m"), ("w.bin", b"w")))
    assert fetch(f"{web.url}/a.tgz", tmp_path).name == "m.onnx"
    assert sorted(each.name for each in fetch(f"{web.url}/b.zip", tmp_path).iterdir()) == ["m.onnx", "w.bin"]


def test_a_bundle_of_mleap_stays_a_zip(web, tmp_path):
    content = zipped(("bundle.json", b"{}"), ("root/model.json", b"{}"))
    web.pages["/spark.zip"] = Page(content)
    path = fetch(f"{web.url}/spark.zip", tmp_path)
    assert (path.name, path.read_bytes()) == ("spark.zip", content)


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("a.tgz", tar(**{"../evil": b"x"}), UnsafeModelError, r"'\.\./evil'"),
        ("a.tgz", tar(**{"/etc/evil": b"x"}), UnsafeModelError, "'/etc/evil'"),
        ("a.tgz", tar(link="/etc/passwd"), UnsafeModelError, "a link"),
        ("a.zip", zipped(("a/../../evil", b"x")), UnsafeModelError, "evil"),
        ("a.zip", zipped(("a", b"x"), ("a/b", b"x")), ModelError, "two files"),
        ("a.tgz", tar(m=CONTENT)[:200], ModelError, "damaged archive"),
        ("a.tgz", b"no archive", ModelError, "damaged archive"),
        ("a.zip", b"no archive", ModelError, "damaged archive"),
        ("a.zip", zipped(), ModelError, "nothing in it"),
    ],
)
def test_archives_that_are_hostile_or_damaged_are_refused(web, tmp_path, cache, name, content, error, words):
    web.pages[f"/{name}"] = Page(content)
    with pytest.raises(error, match=words):
        fetch(f"{web.url}/{name}", tmp_path)
    assert left_in(cache) == []
    assert not (tmp_path / "evil").exists()


def test_a_link_in_a_zip_is_refused(web, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
        made.writestr("m.onnx", b"m")
    web.pages["/a.zip"] = Page(packed.getvalue())
    with pytest.raises(UnsafeModelError, match="a link"):
        fetch(f"{web.url}/a.zip", tmp_path)


@pytest.mark.parametrize("name", ["a.tgz", "a.zip"])
def test_an_archive_that_grows_beyond_the_limit_is_refused(web, tmp_path, monkeypatch, name):
    monkeypatch.setenv("FAIRTRIAL_CACHE_SIZE", "1M")
    zeros = bytes(5 << 20)
    web.pages[f"/{name}"] = Page(tar(m=zeros) if name == "a.tgz" else zipped(("m", zeros)))
    with pytest.raises(ModelError, match=r"too large: more than 1 MiB.*FAIRTRIAL_CACHE_SIZE"):
        fetch(f"{web.url}/{name}", tmp_path)


def test_a_file_that_is_too_large_is_refused_before_it_is_fetched(web, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRTRIAL_CACHE_SIZE", "1K")
    web.pages["/m.onnx"] = Page(CONTENT)
    with pytest.raises(ModelError, match=r"too large: 1\.22 MiB, and the cache keeps 1 KiB"):
        fetch(f"{web.url}/m.onnx", tmp_path)


def test_the_digest_is_what_sha256sum_says(web, tmp_path):
    web.pages["/m.onnx"] = Page(CONTENT)
    assert obtain(f"{web.url}/m.onnx", tmp_path).digest() == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


def test_no_failure_of_a_server_shows_what_let_us_in(web, tmp_path, cache, caplog, monkeypatch):
    monkeypatch.setattr("fairtrial_servers.store.http.PAUSES", ())
    caplog.set_level(logging.DEBUG, "fairtrial")
    caplog.set_level(logging.DEBUG, "httpx")
    host = web.url.removeprefix("http://")
    web.pages |= {
        "/404": Page(status=404),
        "/500": Page(status=500),
        "/cut": Page(b"x", length=9),
        "/loop": Page(status=302, headers={"Location": "/loop?sig=s3cret-word"}),
        "/away": Page(status=302, headers={"Location": "ftp://ann:s3cret-word@h/?sig=s3cret-word"}),
        "/ok.onnx": Page(b"x"),
    }
    for name in ("404", "500", "cut", "loop", "away"):
        with pytest.raises(ModelError) as refused:
            fetch(f"http://ann:s3cret-word@{host}/{name}?sig=s3cret-word", tmp_path)
        assert "s3cret-word" not in str(refused.value)
        assert refused.value.__cause__ is None
    fetch(f"http://ann:s3cret-word@{host}/ok.onnx?sig=s3cret-word", tmp_path)
    assert "s3cret-word" not in caplog.text
    kept = [each.read_text() for each in (cache / "addresses").glob("*.json")]
    assert kept
    assert all("s3cret-word" not in each for each in kept)
