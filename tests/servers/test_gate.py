"""Every load goes through the check: stock runtimes and those of a team, at the start and on request."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import joblib
import pytest
from fairtrial_servers import gate
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.serving.server import ModelServer
from mlserver import MLModel
from mlserver.settings import ModelSettings, Settings
from servers.metrics import own_metrics
from servers.safety import hostile


class AnyPickle(MLModel):
    """As stock runtimes load: whatever the file asks for."""

    loads: ClassVar[int] = 0

    async def load(self) -> bool:
        AnyPickle.loads += 1
        parameters = self.settings.parameters
        assert parameters is not None
        joblib.load(parameters.uri)
        return True


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("repository"))
    with own_metrics():
        yield loader(ModelServer(Settings(parallel_workers=0, debug=False, model_repository_root=root)))


def loader(server: ModelServer) -> Callable[..., int]:
    """Loads a model through a server's gate, and says how often its runtime was asked to."""

    def through(path: Path, implementation: type[MLModel] | str = AnyPickle, **extra: str) -> int:
        settings = ModelSettings(
            name="m", implementation=implementation, parameters={"uri": str(path), "extra": extra}
        )
        before = AnyPickle.loads
        asyncio.run(server.load(settings))
        return AnyPickle.loads - before

    return through


def test_a_runtime_that_checks_nothing_loads_what_is_safe_and_nothing_else(load, tmp_path, digits_file):
    assert load(digits_file) == 1
    marker = tmp_path / "ran"
    path = tmp_path / "model.joblib"
    joblib.dump([hostile.Touch(marker)], path, compress=3)
    with pytest.raises(UnsafeModelError, match=r"model\.joblib: refers to posix\.system.*not loaded"):
        load(path)
    assert not marker.exists()
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="empty") as refused:
        load(path)
    assert refused.value.exit_code == 3


def test_trust_by_name_is_kept_in_the_log(load, tmp_path, caplog):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"cfractions\nFraction\n.")
    with pytest.raises(UnsafeModelError, match='name it in the model\'s parameter "trusted"'):
        load(path)
    assert load(path, trusted="fractions") == 1
    assert "model.pkl: refers to fractions.Fraction" in caplog.text
    assert "allowed, as the parameter trusted says" in caplog.text


def test_runtimes_that_check_as_they_read_are_not_read_for_twice(monkeypatch, load, digits_file):
    def never(*_: object, **__: object):
        raise AssertionError("scanned")

    monkeypatch.setattr(gate, "scan", never)
    load(digits_file, "fairtrial_servers.sklearn.SKLearnRuntime")
    with pytest.raises(ModelError, match="scanned"):
        load(digits_file)


def test_a_server_ends_with_the_exit_code_of_an_unsafe_model(start, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.joblib").write_bytes(pickle.dumps(hostile.Touch(tmp_path / "ran")))
    # MLServer's base class stands for a stock runtime: the check comes before it.
    served = start(folder, implementation="mlserver.model.MLModel")
    assert served.wait_ended() == 4
    assert "cannot serve: model.joblib: refers to posix.system" in served.errors().splitlines()[-1]
    assert not (tmp_path / "ran").exists()
