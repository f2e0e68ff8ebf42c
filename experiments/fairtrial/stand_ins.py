"""Commands that run on this machine in place of container images, as users give them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fairtrial.errors import UsageError


def stand_ins_from(given: Sequence[str], file: Path | None) -> dict[str, list[str]]:
    """Commands by image glob, the first that fits counting: those given as IMAGE=COMMAND, then the file's.

    The file is a mapping of YAML: image to command, a string or a list. Raises UsageError.
    """
    commands: dict[str, list[str]] = {}
    for text in given:
        image, equals, command = text.partition("=")
        if not image or not equals:
            raise UsageError(f'--stand-in: "{text}" is not of the form IMAGE=COMMAND')
        commands.setdefault(image, _words(command, f"--stand-in {image}"))
    if file is not None:
        for image, command in _read(file).items():
            commands.setdefault(str(image), _words(command, f"{file}: {image}"))
    return commands


def _read(file: Path) -> dict[Any, Any]:
    try:
        content = YAML(typ="safe").load(file)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from error
    except YAMLError as error:
        raise UsageError(f"{file}: is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f'{file}: give a mapping of images to commands, as in "registry/router:*: serve"')
    return content


def _words(command: Any, where: str) -> list[str]:
    try:
        words = shlex.split(command) if isinstance(command, str) else command
    except ValueError as error:
        raise UsageError(f"{where}: the command cannot be read: {error}") from error
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise UsageError(f"{where}: give a command, as a string or a list of strings")
    return words
