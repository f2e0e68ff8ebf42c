"""PyTorch models, traced, scripted and exported: in process and on a real server."""

from __future__ import annotations

import asyncio
import json
import warnings
from typing import ClassVar

import numpy as np
import pytest
from fairtrial_servers.errors import ModelError
from fairtrial_servers.formats import detect
from mlserver.errors import InferenceError
from mlserver.settings import ModelSettings
from mlserver.types import InferenceRequest
from servers.malformed import check_served, tensor

pytestmark = pytest.mark.heavy
torch = pytest.importorskip("torch", reason="needs PyTorch: uv sync --group pytorch")


class Classifier(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layers(x), -1)


class Weighted(torch.nn.Module):
    """Two inputs, a number of its own, and two outputs."""

    def forward(self, x: torch.Tensor, index: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"double": x * 2, "taken": x.gather(1, index)}


class Rows(torch.nn.Module):
    """Takes two rows and no other number of them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(2, 3) + torch.ones(2, 3)


MODEL = Classifier().eval()
ROWS = np.random.default_rng(0).random((20, 64), np.float32)
with torch.inference_mode():
    ANSWERS = MODEL(torch.from_numpy(ROWS)).numpy()


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated
        yield


def export(path, model, example, **more):
    torch.export.save(torch.export.export(model, example, **more), path)
    return path


def rows_open(*names):
    return {name: {0: torch.export.Dim("rows")} for name in names}


@pytest.fixture
def load(quiet):
    from fairtrial_servers.pytorch import PyTorchRuntime

    def loaded(path, **parameters) -> PyTorchRuntime:
        settings = ModelSettings(
            name="m",
            implementation="fairtrial_servers.pytorch.PyTorchRuntime",
            parameters={"uri": str(path), "extra": parameters},
        )
        runtime = PyTorchRuntime(settings)
        assert asyncio.run(runtime.load())
        return runtime

    return loaded


def ask(runtime, *tensors):
    return asyncio.run(runtime.predict(InferenceRequest.model_validate({"inputs": list(tensors)}))).outputs


def shapes(specs):
    return [(each.name, each.datatype, each.shape) for each in specs]


def test_a_traced_module_gives_the_librarys_predictions_and_refuses_in_words(quiet, start, tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.trace(MODEL, torch.zeros(1, 64)).save(path)
    assert detect(path).name == detect(tmp_path).name == "pytorch"
    served = start(path, implementation="FAIRTRIAL_PYTORCH_SERVER").wait_ready()
    check_served(served, platform="pytorch_torchscript", source="x", rows=ROWS, answers={"output": ANSWERS})


def test_an_exported_program_does_so_too(quiet, start, tmp_path):
    path = export(tmp_path / "model.pt2", MODEL, (torch.zeros(2, 64),), dynamic_shapes=rows_open("x"))
    served = start(path, implementation=detect(path).servers[0]).wait_ready()
    check_served(served, platform="pytorch_export", source="x", rows=ROWS, answers={"output": ANSWERS})


def test_inputs_by_name_and_outputs_of_a_dict(load, tmp_path):
    example = (torch.zeros(2, 3), torch.zeros(2, 1, dtype=torch.int64))
    runtime = load(export(tmp_path / "a.pt2", Weighted(), example, dynamic_shapes=rows_open("x", "index")))
    assert shapes(runtime.inputs) == [("x", "FP32", [-1, 3]), ("index", "INT64", [-1, 1])]
    x, index = tensor([1, 2, 3], [1, 3]), tensor([2], [1, 1], "INT32", "index")
    double, taken = ask(runtime, index, x)
    assert (double.name, double.data.root, taken.name, taken.data.root) == ("double", [2, 4, 6], "taken", [3])
    with pytest.raises(InferenceError, match="missing: index"):
        ask(runtime, x)
    with pytest.raises(InferenceError, match="the model refuses this input"):
        ask(runtime, tensor([7], [1, 1], "INT64", "index"), x)
    with pytest.raises(InferenceError, match="differ in rows"):
        ask(runtime, tensor([0, 0], [2, 1], "INT64", "index"), x)


def test_an_input_in_a_structure_is_taken_by_the_programs_own_names(load, tmp_path):
    class Nested(torch.nn.Module):
        def forward(self, pair: tuple[torch.Tensor, torch.Tensor], scale: torch.Tensor) -> torch.Tensor:
            return (pair[0] - pair[1]) * scale

    pair = (torch.zeros(1, 2), torch.zeros(1, 2))
    runtime = load(export(tmp_path / "a.pt2", Nested(), (pair, torch.zeros(1))))
    assert [each.name for each in runtime.inputs] == ["pair_0", "pair_1", "scale"]
    sent = (tensor([3, 4], [1, 2], name="pair_0"), tensor([1, 1], [1, 2], name="pair_1"))
    assert ask(runtime, *sent, tensor([2], [1], name="scale"))[0].data.root == [4, 6]


class TestAScriptedModule:
    SHAPE: ClassVar = [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}]

    @pytest.fixture
    def path(self, quiet, tmp_path):
        torch.jit.script(MODEL).save(tmp_path / "model.pt")
        return tmp_path / "model.pt"

    def test_says_what_to_say_where_shapes_are_not_known(self, load, path):
        with pytest.raises(
            ModelError, match=r"does not state the shapes of its inputs \(x\).*inputs: .*metadata"
        ):
            load(path)

    def test_takes_them_from_the_parameter(self, load, path):
        assert shapes(load(path, inputs="x:FP32:[-1,64]").inputs) == [("x", "FP32", [-1, 64])]
        with pytest.raises(ModelError, match="said to be y, but forward takes x"):
            load(path, inputs="y:FP32:[-1,64]")
        with pytest.raises(ModelError, match="does not run on zeros"):
            load(path, inputs="x:FP32:[-1,63]")

    def test_takes_them_from_a_file_beside_it(self, load, path):
        (path.parent / "metadata.json").write_text(json.dumps({"inputs": self.SHAPE}))
        runtime = load(path)
        assert shapes(runtime.outputs) == [("output", "FP32", [-1, 10])]
        answer = ask(runtime, tensor(ROWS[0].tolist(), [1, 64]))
        assert np.abs(np.array(answer[0].data.root) - ANSWERS[0]).max() <= 1e-6

    def test_takes_them_from_its_own_archive(self, load, tmp_path):
        extra = {"metadata.json": json.dumps({"inputs": self.SHAPE})}
        torch.jit.script(MODEL).save(tmp_path / "own.pt", _extra_files=extra)
        assert shapes(load(tmp_path / "own.pt").inputs) == [("x", "FP32", [-1, 64])]


def test_a_module_traced_for_one_number_of_rows_says_so(load, tmp_path):
    path = tmp_path / "a.pt"
    torch.jit.trace(Rows(), torch.zeros(2, 3)).save(path)
    assert shapes(load(path).inputs) == [("x", "FP32", [2, 3])]


def test_quantised_weights_are_served(load, tmp_path):
    path = tmp_path / "a.pt"
    small = torch.ao.quantization.quantize_dynamic(Classifier().eval(), {torch.nn.Linear}, torch.qint8)
    torch.jit.trace(small, torch.zeros(1, 64)).save(path)
    answer = ask(load(path), tensor(ROWS[0].tolist(), [1, 64]))[0].data.root
    assert np.abs(np.array(answer) - ANSWERS[0]).max() <= 0.05


@pytest.mark.parametrize("what", ["state dict", "module"])
def test_what_torch_save_wrote_is_refused_with_what_to_save_instead(load, tmp_path, what):
    torch.save(MODEL.state_dict() if what == "state dict" else MODEL, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"torch\.export\.save"):
        load(tmp_path / "a.pt")


def test_threads_are_set(load, tmp_path):
    path = export(tmp_path / "a.pt2", MODEL, (torch.zeros(1, 64),))
    load(path, threads="2")
    assert torch.get_num_threads() == 2
    load(path)
    assert torch.get_num_threads() == 1
