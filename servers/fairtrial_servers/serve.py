"""`python -m fairtrial_servers.serve FOLDER`: one model on one MLServer, until SIGTERM or SIGINT.

FOLDER holds `settings.json` and `model-settings.json`, as `mlserver start` reads them (see launch.py).
Once every port answers, one line of JSON on stdout says where. When the server cannot start, the last line
on stderr is one sentence that says why, and the exit code is 2 (settings, ports), 3 (model) or 4 (unsafe).
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging.config
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn, cast

from fairtrial_servers.addresses import shown
from fairtrial_servers.errors import ServerError
from fairtrial_servers.ports import take
from fairtrial_servers.serving.options import MAX_BODY, size
from fairtrial_servers.store import fetch
from fairtrial_servers.store.telling import lines_now_and_then

#: Seconds from the signal to the end of the process, whatever still runs.
GRACE = 5.0

#: MLServer's own ports.
_PORTS = {"http": 8080, "grpc": 8081, "metrics": 8082}

#: The parameter `cache` of all models, but for servers whose settings say that answers are not to be cached.
_CACHE = "FAIRTRIAL_ANSWER_CACHE"

#: The largest body of a REST request, where neither the model's parameters nor the settings say `max_body`.
_MAX_BODY = "FAIRTRIAL_MAX_BODY"

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# One row at a time gains nothing from threads, and idle ones spin on the cores that the other arm needs.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {"mlserver": {"level": "WARNING", "handlers": []}},
}


class _Stop:
    """Waits for a signal in a thread of its own, for a model can keep the main thread busy."""

    def __init__(self) -> None:
        # Blocked here, before any thread exists, so that all threads inherit it and only ours receives.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = asyncio.Event()
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    async def wait(self) -> None:
        """Until a signal comes. Before this is called a signal ends the process at once."""
        self._loop = asyncio.get_running_loop()
        await self._asked.wait()

    def _listen(self) -> None:
        signal.sigwait(_SIGNALS)
        if self._loop is None:
            os._exit(0)
        self._loop.call_soon_threadsafe(self._asked.set)
        time.sleep(GRACE)
        os._exit(0)


async def _serve(folder: Path, stop: _Stop) -> None:
    started = time.monotonic()
    # All that can fail fast does, before seconds of imports.
    settings = _read(folder / "settings.json")
    model = _read(folder / "model-settings.json")
    host = str(settings.setdefault("host", "127.0.0.1"))
    ports = {kind: int(settings.setdefault(f"{kind}_port", usual)) for kind, usual in _PORTS.items()}
    listeners = {kind: take(kind, host, port) for kind, port in ports.items()}
    parameters = model.get("parameters") or {}
    extra = parameters.get("extra") or {}
    if os.environ.get(_CACHE) and settings.get("cache_enabled") is not False:
        parameters["extra"] = {"cache": os.environ[_CACHE], **extra}
    limit = extra.get("max_body", settings.get("max_body", os.environ.get(_MAX_BODY, MAX_BODY)))
    max_body = size({"max_body": str(limit)}, "max_body", "")
    uri = str(parameters.get("uri", ""))
    parameters["uri"] = str(fetch(uri, folder, lines_now_and_then(shown(uri), _tell)))

    from mlserver.settings import ModelSettings, Settings

    from fairtrial_servers.serving.server import ModelServer

    try:
        server = ModelServer(Settings(**settings, model_repository_root=str(folder)), max_body)
        model_settings = ModelSettings(**{**model, "parameters": parameters})
    except ValueError as error:
        raise ServerError(f"the settings in {folder} are not MLServer's: {error}".splitlines()[0]) from error
    logging.config.dictConfig(_LOGGING)
    await server.load(model_settings)
    listeners["grpc"].close()  # gRPC takes ports itself; this one was only kept free
    await server.serve(listeners["http"], listeners["metrics"])
    # What exists now stays: the collector need not go through it again while requests wait.
    gc.collect()
    gc.freeze()
    ready = {
        "event": "ready",
        "model": model_settings.name,
        "url": f"http://{host}:{ports['http']}",
        "grpc": f"{host}:{ports['grpc']}",
        "seconds": round(time.monotonic() - started, 3),
    }
    print(json.dumps(ready), flush=True)
    await stop.wait()
    await server.finish()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ServerError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ServerError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ServerError(f"{path} does not hold a JSON object")
    return cast("dict[str, Any]", content)


def main() -> NoReturn:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m fairtrial_servers.serve FOLDER")
    for variable in _ONE_THREAD:
        os.environ.setdefault(variable, "1")
    stop = _Stop()
    import uvloop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(Path(sys.argv[1]), stop))
    except ServerError as error:
        _last_words(str(error), error.exit_code)
    sys.stdout.flush()
    os._exit(0)  # threads of gRPC and of the model have no say in when the process ends


def _last_words(sentence: str, code: int) -> NoReturn:
    print(f"cannot serve: {sentence}", file=sys.stderr, flush=True)
    os._exit(code)


if __name__ == "__main__":
    main()
