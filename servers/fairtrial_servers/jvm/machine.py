"""Starts the one Java VM of this process, and puts what Java throws into words.

A model server holds one model, so one class path for the process's life is enough. Predictions are made in
the thread that started it, which is the event loop's.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.jvm.java import find_java

_HEAP = re.compile(r"[1-9]\d{0,6}[kmgKMG]")
#: JPype's support JAR may load native code, and Scala's runtime use sun.misc.Unsafe; newer VMs warn of both.
_SINCE = {22: "--enable-native-access=ALL-UNNAMED", 23: "--sun-misc-unsafe-memory-access=allow"}


_started: list[tuple[Path, ...]] = []


def start(class_path: Sequence[Path], parameters: Mapping[str, str]) -> Any:
    """The module jpype, its VM started, or running already with this class path.

    `parameters` of the graph node: `heap` (the most memory for objects, as "512m").
    Raises ServerError when there is no Java or it does not start, ModelError for a wrong parameter.
    """
    heap = parameters.get("heap")
    if heap is not None and not _HEAP.fullmatch(heap):
        raise ModelError(f'the parameter "heap" is a number with k, m or g, as "512m", not {heap!r}')
    jpype: Any = importlib.import_module("jpype")
    if _started:
        if _started[0] != tuple(class_path):
            raise ServerError("this process runs another format on its Java VM: serve each in its own")
        return jpype
    java = find_java()
    options = [
        "-Xrs",  # the process has signal handlers of its own
        "-XX:+UseSerialGC",  # one request at a time; other collectors start threads for each core
        "-XX:-UsePerfData",
        "-XX:+DisplayVMOutputToStderr",  # stdout says where the server listens
        *([f"-Xmx{heap}"] if heap else []),
        *(option for since, option in _SINCE.items() if java.version >= since),
    ]
    try:
        jpype.startJVM(*options, jvmpath=java.library, classpath=list(class_path), convertStrings=True)
    except (OSError, RuntimeError, TypeError, jpype.JVMNotSupportedException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ServerError(f"the Java VM at {java.library} does not start: {reason}") from error
    _started.append(tuple(class_path))
    system = jpype.JClass("java.lang.System")
    system.setOut(system.err)
    return jpype


def quiet(*loggers: str) -> list[Any]:
    """Have these loggers of java.util.logging keep to themselves; the answer must be kept as long."""
    jpype: Any = importlib.import_module("jpype")
    logging = jpype.JClass("java.util.logging.Logger")
    found = [logging.getLogger(name) for name in loggers]
    for logger in found:
        logger.setLevel(jpype.JClass("java.util.logging.Level").OFF)
    return found


def reason(thrown: Any) -> str:
    """What a Java exception says, in one line: the first cause that says something, with no stack.

    Raises MemoryError for one that is about the VM's memory, which is nobody's input.
    """
    kind = str(thrown.getClass().getName())
    if kind == "java.lang.OutOfMemoryError":
        raise MemoryError("the Java VM is out of memory: give the model a larger `heap`")
    if kind == "java.lang.StackOverflowError":
        return "it is nested too deep"
    cause = thrown
    while cause is not None:
        message = cause.getMessage()
        if message and message.strip():
            return str(message).strip().splitlines()[0]
        cause = cause.getCause()
    return str(thrown.getClass().getSimpleName())
