"""Pickles, plain and of joblib: every name that one refers to, held against the names of its format."""

from __future__ import annotations

from fairtrial_servers.safety.scan.content import Content, Yielded
from fairtrial_servers.safety.scan.findings import Damaged, Finding, Kind, TooMuch, Unreadable, in_a_line
from fairtrial_servers.safety.scan.inert import Seen
from fairtrial_servers.safety.scan.machine import Machine
from fairtrial_servers.safety.scan.names import admitted, dangerous, why_not


def is_pickle(head: bytes) -> bool:
    """Whether a file starts as pickles of protocol 2 and later do; earlier ones have no mark."""
    return len(head) > 1 and head[0] == 0x80 and head[1] <= 5


def check(content: Content) -> Yielded:
    """A pickle, and those that follow it in the same file."""
    seen = Seen()
    reason = go_through(content, seen)
    if seen.arrays:
        # pickle.load takes the bytes of joblib's arrays for opcodes. They should make no sense.
        go_through(content, seen, plain=True)
    yield from objections(content, seen)
    if reason is not None:
        yield reason


def check_text(content: Content) -> Yielded:
    """Text that somebody may yet load as a pickle: the oldest protocol is text as well."""
    seen = Seen()
    reason = go_through(content, seen)
    does = seen.calls or reason is None or any(dangerous(*name) for name in seen.names)
    if (
        seen.names
        and does
        and all(name.isascii() and name.isprintable() for pair in seen.names for name in pair)
    ):
        yield from objections(content, seen)


def go_through(content: Content, seen: Seen, *, start: int = 0, plain: bool = False) -> Finding | None:
    """Read the pickles from `start` to the file's end; what hindered it, if anything did.

    Raises TooMuch.
    """
    stream, at = content.stream, start
    while True:
        stream.seek(at)
        try:
            read_one(content, seen, plain=plain)
        except Unreadable as error:
            return content.unknown(str(error))
        except Damaged as error:
            if at > start:
                return content.unknown(f"{content.size - at:,} bytes follow the pickle, and are none")
            return content.damaged(str(error))
        at = stream.tell()
        if at >= content.size:
            return None


def read_one(content: Content, seen: Seen, *, plain: bool = False) -> None:
    """Read the pickle that begins where the stream stands. Raises Unreadable, Damaged, TooMuch."""
    try:
        Machine(content.stream, content.size, seen, plain=plain).load()
    except (TooMuch, Unreadable):
        raise
    except RecursionError as error:
        raise Unreadable("it is nested without end") from error
    except Exception as error:
        # A damaged pickle can fail in any way at all.
        raise Damaged(f"it is damaged or no pickle: {in_a_line(error)}") from error


def objections(content: Content, seen: Seen) -> Yielded:
    """What a pickle of this role may not refer to."""
    for code in sorted(seen.extensions):
        yield content.unsafe(
            f"refers to the extension code {code}", "which stands for any name whatever on another machine"
        )
    for module, name in seen.names:
        full = f"{module}.{name}"
        try:
            if not admitted(module, name, content.role):
                yield content.unsafe(f"refers to {full}", why_not(module, name), full, module)
        except LookupError:
            yield Finding(
                content.trail,
                Kind.UNKNOWN,
                f"refers to {full}",
                "which is not in the version that is installed here, so that it cannot be judged",
                full,
                module,
            )
