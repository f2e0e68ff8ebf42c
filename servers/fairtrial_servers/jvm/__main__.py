"""`python -m fairtrial_servers.jvm copy LIBRARY FOLDER`: fetch the JARs of a format into a folder, as into an
image; `list LIBRARY` prints their names and checksums."""

from __future__ import annotations

import sys
from pathlib import Path

from fairtrial_servers.errors import ServerError
from fairtrial_servers.jvm.jars import copy, listed

_USAGE = "usage: python -m fairtrial_servers.jvm copy LIBRARY FOLDER | list LIBRARY"


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["list", library]:
                for jar in listed(library):
                    print(f"{jar.sha256}  {jar}")
            case ["copy", library, target]:
                print(f"{len(copy(library, Path(target)))} JARs of {library} are in {target}")
            case _:
                print(_USAGE, file=sys.stderr)
                return ServerError.exit_code
    except ServerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
