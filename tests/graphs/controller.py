"""A controller to be killed: serves two stand-in models, says so on standard output, and waits.

Arguments: a folder, and the parameters of both stand-ins as JSON. Ends by itself after a minute.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from fairtrial_graphs.backends.interface import Route
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.build import Arm, build

sys.path.insert(0, str(Path(__file__).parents[1]))
from graphs.standin import launcher


def main() -> None:
    parameters = json.loads(sys.argv[2])
    arms = [Arm(name, name, "STANDIN", parameters=parameters) for name in ("v1", "v2")]
    with LocalBackend(Path(sys.argv[1]), launcher) as backend:
        serving = backend.apply(build("d", arms, {"v1": 50, "v2": 50}), Route("r"), lambda _: None)
        print(serving.url, flush=True)
        time.sleep(60)


if __name__ == "__main__":
    main()
