"""What is not YAML, or not one plain document, is refused at its place and in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairtrial.experiment.problems import ExperimentFileError
from fairtrial.experiment.reading import parse
from fairtrial.experiment.yaml_tree import parse_tree, plain_scalar
from hypothesis import given
from hypothesis import strategies as st

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{here}: &{here} [{', '.join(['*' + before] * 9)}]\n"
    for before, here in zip("abcdefgh", "bcdefghi", strict=True)
)


def mistakes(raw: bytes) -> list[str]:
    with pytest.raises(ExperimentFileError) as caught:
        parse(raw, source="e.yaml", folder=Path())
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "e.yaml:1:1: the file is empty"),
        (b"# only a comment\n", "e.yaml:1:1: the file is empty"),
        (b"---\n...\n", "e.yaml:1:1: the file is empty"),
        (b"hello", 'e.yaml:1:1: expected fields such as `kind: Experiment`, got the text "hello"'),
        (b"- 1\n", "e.yaml:1:1: expected fields such as `kind: Experiment`, got a list"),
        (b"kind: Experiment\n\tspec: 1\n", "e.yaml:2:1: a tab; YAML indents with spaces"),
        (b"kind: Experiment\nkind: Experiment\n", "e.yaml:2:1 kind: said twice; the first is on line 1"),
        (b"kind: Experiment\n---\nkind: Experiment\n", "e.yaml:2:1: a second document starts here"),
        (b"kind: [a, b\n", 'e.yaml:2:1: expected "," or "]"; is a bracket not closed?'),
        (b"kind: 'a\n", "e.yaml:2:1: a quote is opened and never closed"),
        (b"kind: a: b\n", 'e.yaml:1:8: unexpected ":"; is the indentation right, are quotes missing?'),
        (b"kind: @a\n", "e.yaml:1:7: a text that begins with this character must be quoted"),
        (b"kind: *a\n", "e.yaml:1:7 kind: *a refers to an anchor &a that is not there"),
        (b"kind: &a [*a]\n", "e.yaml:1:11 kind.0: *a refers to the very value that it is part of"),
        (
            b"kind: !!python/name:os.system x\n",
            'e.yaml:1:7: the tag "tag:yaml.org,2002:python/name:os.system"',
        ),
        (b"<<: {a: 1}\n", "e.yaml:1:1: merge keys (<<) are not read; write the fields out"),
        (b"? [a]\n: 1\n", "e.yaml:1:3: expected the name of a field before the colon"),
        (b'kind: "\\UFFFFFFFF"\n', "e.yaml:1:1: an escape or a number out of range"),
        (b"kind: caf\xe9\n", "e.yaml:1:10: not UTF-8: byte 0xe9; is it a text file?"),
        (b"kind: a\r\nspec: \x00\n", "e.yaml:2:7: the control character U+0000 cannot be in YAML"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "e.yaml:1:1: not UTF-8: byte 0x89"),
        ("kind: Experiment\n".encode("utf-16"), "e.yaml:1:1: not UTF-8 but UTF-16"),
        (b"#" * 300_000, "e.yaml:1:1: larger than 256 kB"),
        (b"[" * 5000, "e.yaml:1:1: nested more than 40 levels deep"),
        (b"- " * 5000, "e.yaml:1:83: nested more than 40 levels deep"),
        (BOMB.encode(), "e.yaml:1:17: more than 5000 values, aliases counted as often as used"),
    ],
)
def test_damage_is_told_at_its_place(raw: bytes, expected: str) -> None:
    assert [line for line in mistakes(raw) if line.startswith(expected)]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(project: Path) -> None:
    text = (project / "experiment.yaml").read_text().replace("\n", "\r\n")
    parse(b"\xef\xbb\xbf" + text.encode(), source="e.yaml", folder=project)


def test_an_alias_is_its_anchors_value_at_its_own_place() -> None:
    tree = parse_tree("a: &x {b: 1}\nc: *x\n")
    assert tree.root == {"a": {"b": 1}, "c": {"b": 1}}
    assert (tree.values[("c",)].line, tree.values[("c",)].column) == (2, 4)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("010", 10),
        ("0x1f", 31),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("2001-01-01", "2001-01-01"),
        ("1:30", "1:30"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert plain_scalar(text) == value


@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "b",
                ": ",
                ":",
                "- ",
                "-",
                "?",
                "[",
                "]",
                "{",
                "}",
                ",",
                "&a ",
                "*a",
                "!!",
                "!",
                "|",
                ">",
                "'",
                '"',
                "%",
                "@",
                "#",
                " ",
                "\n",
                "\n  ",
                "\t",
                "\\",
                "\\U",
                "FFFFFFFF",
                "0",
                "9",
                ".",
                "---\n",
                "...\n",
                "%YAML ",
                "<<",
                "~",
                "\u2028",
            ]
        ),
        max_size=30,
    ).map("".join)
)
def test_no_text_makes_the_reader_raise(text: str) -> None:
    tree = parse_tree(text)
    assert all(flaw.position.line >= 1 and flaw.position.column >= 1 for flaw in tree.flaws)
