"""A pipeline's folder is found by its name, by its path, or because there is no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairtrial.delivery.places import find_folder, folder_of
from fairtrial.delivery.state import State
from fairtrial.errors import UsageError


def made(*folders: Path) -> None:
    for folder in folders:
        State(folder).close()


def test_it_is_beside_the_pipelines_file_or_where_it_was_said(tmp_path: Path) -> None:
    assert folder_of(tmp_path, "wine", None) == tmp_path / "deliveries" / "wine"
    assert folder_of(tmp_path, "wine", tmp_path / "elsewhere") == tmp_path / "elsewhere" / "wine"


def test_the_only_one_need_not_be_named(tmp_path: Path) -> None:
    made(tmp_path / "project" / "deliveries" / "wine")
    assert find_folder(None, tmp_path) == tmp_path / "project" / "deliveries" / "wine"
    assert find_folder(None, tmp_path / "project") == tmp_path / "project" / "deliveries" / "wine"


def test_one_of_several_is_found_by_its_name_or_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wine, beer = tmp_path / "deliveries" / "wine", tmp_path / "b" / "deliveries" / "beer"
    made(wine, beer)
    monkeypatch.chdir(tmp_path)
    assert find_folder("wine", tmp_path) == wine
    assert find_folder("beer", tmp_path) == beer
    assert find_folder("b/deliveries/beer", tmp_path) == beer
    assert find_folder(str(beer), Path("/")) == beer
    with pytest.raises(UsageError) as told:
        find_folder(None, tmp_path)
    assert str(told.value) == (
        "several pipelines: name the pipeline, or its folder (known: b/deliveries/beer, deliveries/wine)"
    )


def test_two_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    made(tmp_path / "deliveries" / "wine", tmp_path / "b" / "deliveries" / "wine")
    with pytest.raises(UsageError, match="several pipelines: name the pipeline, or its folder"):
        find_folder("wine", tmp_path)


@pytest.mark.parametrize("which", ["beer", "../wine", "de*", "x\0y", ""])
def test_what_is_not_there_is_told_with_what_is(tmp_path: Path, which: str) -> None:
    made(tmp_path / "deliveries" / "wine")
    with pytest.raises(UsageError) as told:
        find_folder(which, tmp_path)
    assert str(told.value) == (
        f"no pipeline {which!r}: name the pipeline, or its folder (known: deliveries/wine)"
    )


def test_where_nothing_was_watched_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no pipeline has been watched in .*: start `fairtrial watch`"):
        find_folder(None, tmp_path)
