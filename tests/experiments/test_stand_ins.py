"""Commands in place of images, as users give them."""

from pathlib import Path

import pytest
from fairtrial.errors import UsageError
from fairtrial.stand_ins import stand_ins_from


def test_the_command_line_goes_before_the_file_and_order_is_kept(tmp_path: Path):
    file = tmp_path / "stand-ins.yaml"
    file.write_text("reg/router:*: serve Router --x='a b'\nreg/*: [serve, Other]\nreg/own:1: never\n")
    assert stand_ins_from(["reg/own:1=serve --a=b"], file) == {
        "reg/own:1": ["serve", "--a=b"],
        "reg/router:*": ["serve", "Router", "--x=a b"],
        "reg/*": ["serve", "Other"],
    }


@pytest.mark.parametrize(
    ("given", "content", "sentence"),
    [
        ("reg/own", None, "not of the form IMAGE=COMMAND"),
        ("=serve", None, "not of the form IMAGE=COMMAND"),
        ("reg/own=", None, "give a command"),
        ("reg/own='serve", None, "the command cannot be read"),
        (None, "- serve", "give a mapping of images to commands"),
        (None, "a: [1]", "give a command, as a string or a list of strings"),
        (None, "a: {", "is no YAML"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    tmp_path: Path, given: str | None, content: str | None, sentence: str
):
    file = None
    if content is not None:
        file = tmp_path / "f.yaml"
        file.write_text(content)
    with pytest.raises(UsageError, match=sentence):
        stand_ins_from([given] if given else [], file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read"):
        stand_ins_from([], tmp_path / "none.yaml")
