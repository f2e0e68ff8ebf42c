"""MLeap bundles and PMML files that must not get to the Java VM. No Java is needed here."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from pathlib import Path

import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.formats import detect
from fairtrial_servers.safety import mleap_bundles, pmml_files
from fairtrial_servers.safety.mleap_bundles import checked_bundle
from fairtrial_servers.safety.pmml_files import read_pmml

DESCRIPTION = json.dumps({"name": "p", "format": "ml.combust.mleap.json", "version": "0.16.0"})
GOOD = {"bundle.json": DESCRIPTION, "root/model.json": "{}", "root/node.json": "{}"}
PMML = '<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">{}</PMML>'


@pytest.fixture
def zipped(tmp_path):
    def made(files, name="model.zip", compression=zipfile.ZIP_DEFLATED) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", compression) as archive:
            for member, content in files.items() if isinstance(files, dict) else files:
                archive.writestr(member, content)
        return path

    return made


def check(path):
    with checked_bundle(path) as folder:
        return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_a_bundle_is_unpacked_for_as_long_as_it_is_needed(zipped):
    path = zipped(GOOD)
    with checked_bundle(path) as folder:
        assert (folder / "root" / "model.json").read_text() == "{}"
    assert not folder.exists()
    assert detect(path).name == "mleap"


def test_a_folder_is_left_as_it_is(zipped, tmp_path):
    zipfile.ZipFile(zipped(GOOD)).extractall(tmp_path / "b")
    assert check(tmp_path / "b") == sorted(GOOD)
    assert detect(tmp_path / "b").name == "mleap"


@pytest.mark.parametrize(
    "name", ["../out", "root/../../out", "/tmp/out", "C:/out", "..\\out", "root\\..\\..\\out"]
)
def test_a_file_outside_is_not_written(zipped, tmp_path, name):
    with pytest.raises(UnsafeModelError, match="outside of its own folder"):
        check(zipped({**GOOD, name: "x"}))
    assert not (tmp_path.parent / "out").exists()


def test_a_link_in_a_zip_is_refused(zipped):
    link = zipfile.ZipInfo("root/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(UnsafeModelError, match="neither a file nor a folder"):
        check(zipped([*GOOD.items(), (link, "/etc/passwd")]))


def test_a_link_or_a_pipe_in_a_folder_is_refused(zipped, tmp_path):
    zipfile.ZipFile(zipped(GOOD)).extractall(tmp_path / "b")
    (tmp_path / "b" / "root" / "link").symlink_to("/etc/hostname")
    with pytest.raises(UnsafeModelError, match="outside of the bundle's folder"):
        check(tmp_path / "b")
    (tmp_path / "b" / "root" / "link").unlink()
    os.mkfifo(tmp_path / "b" / "root" / "pipe")
    with pytest.raises(UnsafeModelError, match="neither a file nor a folder"):
        check(tmp_path / "b")


def test_a_bomb_is_not_unpacked(zipped):
    with pytest.raises(UnsafeModelError, match="times its own size"):
        check(zipped({**GOOD, "root/bomb": b"\0" * (65 << 20)}))


def test_more_than_a_machine_holds_is_not_unpacked(zipped, monkeypatch):
    monkeypatch.setattr(mleap_bundles, "MOST_BYTES", 1000)
    with pytest.raises(UnsafeModelError, match="at most"):
        check(zipped({**GOOD, "root/large": os.urandom(1001)}))
    monkeypatch.setattr(mleap_bundles, "MOST_FILES", 2)
    with pytest.raises(UnsafeModelError, match="at most 2 files"):
        check(zipped(GOOD))


def test_a_member_that_is_larger_than_it_says_is_not_unpacked(zipped):
    path = zipped({**GOOD, "root/liar": b"a" * 5000}, compression=zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    start = raw.rindex(b"PK\1\2", 0, raw.rindex(b"root/liar"))
    raw[start + 24 : start + 28] = (100).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(ModelError):
        check(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(zipped):
    with pytest.raises(UnsafeModelError, match="two files of one name"):
        check(zipped([*GOOD.items(), ("root/model.json", "{}")]))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "no bundle.json"),
        ({"model.pkl": "x"}, "no bundle.json"),
        ({f"inner/{name}": content for name, content in GOOD.items()}, "no bundle.json at its top"),
        ({**GOOD, "bundle.json": "{"}, "damaged"),
        ({**GOOD, "bundle.json": "[]"}, "does not describe a bundle"),
        ({**GOOD, "bundle.json": "[" * 100_000}, "damaged"),
        ({"bundle.json": DESCRIPTION}, "no folder root"),
    ],
)
def test_what_is_no_bundle_is_a_load_error(zipped, files, words):
    with pytest.raises(ModelError, match=words):
        check(zipped(files))


def test_a_damaged_zip_is_a_load_error(zipped):
    path = zipped(GOOD)
    whole = path.read_bytes()
    for damaged in (b"", b"no zip", whole[:-30], whole[:40] + bytes(20) + whole[60:]):
        path.write_bytes(damaged)
        with pytest.raises(ModelError):
            check(path)


def test_no_room_to_unpack_is_said(zipped, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mleap_bundles, "_copy", full)
    with pytest.raises(ModelError, match="No space left on device"):
        check(zipped(GOOD))


@pytest.fixture
def written(tmp_path):
    def made(content) -> Path:
        path = tmp_path / "model.pmml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return made


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "cp1252"])
def test_pmml_is_read_in_its_own_encoding(written, encoding):
    declared = {"utf-8-sig": "utf-8", "cp1252": "windows-1252"}.get(encoding, encoding)
    text = f'<?xml version="1.0" encoding="{declared}"?>\n' + PMML.format("<Header copyright='é'/>")
    assert read_pmml(written(text.encode(encoding))) == text
    assert detect(written(text.encode(encoding))).name == "pmml"


ENTITY = '<!DOCTYPE PMML [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
LAUGHS = '<!DOCTYPE PMML [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]>'


@pytest.mark.parametrize(
    "content",
    [
        ENTITY + PMML.format("&e;"),
        LAUGHS + PMML.format("&c;"),
        '<!DOCTYPE PMML SYSTEM "http://127.0.0.1/pmml.dtd">' + PMML.format(""),
        '<!DOCTYPE PMML PUBLIC "-//x//y" "file:///etc/hostname">' + PMML.format(""),
        '<?xml version="1.0"?><!-- a comment first -->' + ENTITY + PMML.format("&e;"),
        ('<?xml version="1.0" encoding="utf-16"?>' + ENTITY + PMML.format("&e;")).encode("utf-16"),
        "<!DOCTYPE PMML>" + PMML.format(""),
    ],
)
def test_a_document_type_is_refused(written, content):
    with pytest.raises(UnsafeModelError, match="document type"):
        read_pmml(written(content))


def test_an_inclusion_is_refused(written):
    included = '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="/etc/hostname" parse="text"/>'
    with pytest.raises(UnsafeModelError, match="XInclude"):
        read_pmml(written(PMML.format(included)))


@pytest.mark.parametrize("encoding", ["utf-7", "cp037", "rot13", "no-such", "utf-32"])
def test_an_encoding_that_hides_something_is_refused(written, encoding):
    with pytest.raises(ModelError, match="write it in UTF-8"):
        read_pmml(written(f'<?xml version="1.0" encoding="{encoding}"?>' + PMML.format("")))


def test_too_deep_or_too_large_is_refused(written, monkeypatch):
    deep = "<Node>" * 2001 + "</Node>" * 2001
    with pytest.raises(UnsafeModelError, match="nested over"):
        read_pmml(written(PMML.format(deep)))
    monkeypatch.setattr(pmml_files, "MOST_BYTES", 10)
    with pytest.raises(UnsafeModelError, match="at most 10"):
        read_pmml(written(PMML.format("")))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no XML"),
        ("not xml", "no XML"),
        (PMML.format("")[:-3], "no XML"),
        (PMML.format("&nbsp;"), "no XML"),
        ("<html/>", "no PMML"),
        ('<PMML xmlns="http://elsewhere"/>', "no PMML"),
        (PMML.format("").encode() + b"<!-- \xff -->", "not in utf-8"),
        (bytes(range(256)), "not in utf-8"),
    ],
)
def test_what_is_no_pmml_is_a_load_error(written, content, words):
    with pytest.raises(ModelError, match=words) as refused:
        read_pmml(written(content))
    assert not isinstance(refused.value, UnsafeModelError)
