"""300 damaged experiment files, made by mutation: each ends in exit code 2 and is told where, in words."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from fairtrial.cli.group import cli
from fairtrial.experiment.problems import ExperimentFileError
from fairtrial.experiment.reading import parse
from fairtrial.projects.writing import PROJECTS, write_project

DAMAGED = 300
SEED = 20261122

VALUES = (
    b"null", b"~", b"true", b"[]", b"{}", b"[[[]]]", b"{a: {b: {c: 1}}}", b"-1", b"0", b"1e999", b".nan",
    b"-.inf", b"9" * 400, b"0x" + b"f" * 60, b"''", b"'a b'", b"5", b"5%", b"500pp", b"-3s", b"3 parsecs",
    b"*nowhere", b"&a [*a]", b"!!python/object:os.system x", b"!x y", b"2026-11-22", "Größe".encode(),
    "🙂".encode(), b"'\xf0\x9f", b'"\\ud800"', b'"\\U00110000"', b'"\\0"', b"|", b">9", b"@x", b"a" * 3000,
    b"../../../etc",
)  # fmt: skip
INSERTS = (
    b"\t", b"\x00", b"\x07", b"\xff", b"\xe2\x80\xa8", b"\r", b": ", b"- ", b"? ", b"[", b"}", b"'", b'"',
    b"#", b"%", b"*", b"&", b"\n", b"\n---\n", b"<<: ", "é".encode(), b"\xef\xbb\xbf",
)  # fmt: skip
FIELD = re.compile(rb"([A-Za-z]+): *([^\s,{}\[\]]+)")

Mutation = Callable[[bytes, random.Random], bytes]


def delete_characters(text: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(text))
    return text[:start] + text[start + rng.randint(1, 12) :]


def insert(text: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(text))
    return text[:at] + rng.choice(INSERTS) + text[at:]


def change_a_byte(text: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(text))
    return text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]


def truncate(text: bytes, rng: random.Random) -> bytes:
    return text[: rng.randrange(len(text))]


def swap_lines(text: bytes, rng: random.Random) -> bytes:
    lines = text.split(b"\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"\n".join(lines)


def repeat_a_line(text: bytes, rng: random.Random) -> bytes:
    lines = text.split(b"\n")
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return b"\n".join(lines)


def indent_otherwise(text: bytes, rng: random.Random) -> bytes:
    lines = text.split(b"\n")
    i = rng.randrange(len(lines))
    lines[i] = rng.choice([b" " + lines[i], b"\t" + lines[i], lines[i].lstrip(), b"    " + lines[i]])
    return b"\n".join(lines)


def misspell_a_field(text: bytes, rng: random.Random) -> bytes:
    name = rng.choice(list(FIELD.finditer(text)))
    letters = list(name[1].decode())
    rng.shuffle(letters)
    return text[: name.start(1)] + "".join(letters).encode() + text[name.end(1) :]


def replace_a_value(text: bytes, rng: random.Random) -> bytes:
    value = rng.choice(list(FIELD.finditer(text)))
    return text[: value.start(2)] + rng.choice(VALUES) + text[value.end(2) :]


def nest_a_value(text: bytes, rng: random.Random) -> bytes:
    value = rng.choice(list(FIELD.finditer(text)))
    depth = rng.choice([1, 3, 2000])
    return text[: value.start(2)] + b"[" * depth + value[2] + b"]" * depth + text[value.end(2) :]


MUTATIONS: tuple[Mutation, ...] = (
    delete_characters,
    insert,
    change_a_byte,
    truncate,
    swap_lines,
    repeat_a_line,
    indent_otherwise,
    misspell_a_field,
    replace_a_value,
    replace_a_value,
    nest_a_value,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where all that the examples name is there, so that only the damage can be wrong."""
    for version in ("v1", "v2"):
        (tmp_path / "models" / version).mkdir(parents=True)
    (tmp_path / "holdout.parquet").touch()
    return tmp_path


def is_damaged(text: bytes, folder: Path) -> bool:
    try:
        parse(text, source="experiment.yaml", folder=folder)
    except ExperimentFileError:
        return True
    return False


def test_no_damage_ends_in_a_traceback(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    originals: list[bytes] = []
    for name in PROJECTS:
        write_project(name, folder / name)
        originals.append((folder / name / "experiment.yaml").read_bytes())
    rng = random.Random(SEED)
    runner = CliRunner()
    damaged = 0
    used: set[str] = set()
    while damaged < DAMAGED:
        text, mutation = rng.choice(originals), rng.choice(MUTATIONS)
        for _ in range(rng.randint(1, 3)):
            if FIELD.search(text):
                text = mutation(text, rng)
        if not is_damaged(text, folder):
            continue  # the mutation left it valid: a comment, say
        damaged += 1
        used.add(mutation.__name__)
        (folder / "experiment.yaml").write_bytes(text)

        result = runner.invoke(cli, ["validate", "experiment.yaml"])

        told = f"{mutation.__name__} made\n{text!r}\nwhich was answered by\n{result.output}"
        assert result.exit_code == 2, told
        assert not result.exception or isinstance(result.exception, SystemExit), told
        assert result.stdout == "", told
        lines = result.stderr.splitlines()
        assert re.fullmatch(r"error: \d+ mistakes? in experiment\.yaml", lines.pop()), told
        assert lines, told
        for line in lines:
            assert re.match(r"experiment\.yaml:[1-9]\d*:[1-9]\d*( \S.*)?: \S", line), told
            assert line.isprintable(), told
            assert "Traceback" not in line, told
    assert used == {mutation.__name__ for mutation in MUTATIONS}
