"""PyTorch archives made by hand: what could run code is refused, and the rest told apart, without PyTorch."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.torch_files import Kind, check_torch

EMPTY = pickle.dumps((), 2)
SYSTEM = b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."
CODE = b"class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    return %s\n"
WEIGHTS = b"\x80\x02ccollections\nOrderedDict\n)Rctorch._utils\n_rebuild_tensor_v2\n0ctorch\nFloatStorage\n0."
SCRIPT = {
    "data.pkl": b"\x80\x02c__torch__\nM\n)\x81.",
    "constants.pkl": EMPTY,
    "code/__torch__.py": CODE % b"torch.softmax(x, -1)",
    "code/__torch__.py.debug_pkl": EMPTY,
    "data/0": b"\0" * 64,
}
SIZE = "Symbol('s77', positive=True, integer=True)"
PROGRAM = {
    "graph_module": {
        "graph": {
            "nodes": [
                {"target": "torch.ops.aten.linear.default", "name": "linear", "metadata": {"trace": "a(b)"}}
            ],
            "tensor_values": {"x": {"sizes": [{"as_expr": {"expr_str": SIZE}}, {"as_int": 64}]}},
            "custom_obj_values": {},
        },
        "signature": {"input_specs": [{"parameter": {"parameter_name": "torch_part.0.weight"}}]},
        "module_call_graph": [
            {"signature": {"in_spec": '[1, {"type": "builtins.dict", "context": "[\\"x\\"]"}]'}}
        ],
    },
    "guards_code": ["L['x'].size()[0] == L['y'].size()[0]", "Mod(L['x'].size()[0], 2) == 0"],
    "range_constraints": {"s77": {"min_val": 0, "max_val": None}},
    "torch_version": "2.15.0+cpu",
}


def archive(path, entries, top="m"):
    with zipfile.ZipFile(path, "w") as made:
        for name, data in entries.items():
            made.writestr(f"{top}/{name}", data)
    return path


def saved(data: bytes) -> bytes:
    """As torch.save writes it."""
    content = io.BytesIO()
    archive(content, {"data.pkl": data, "version": b"3"})
    return content.getvalue()


def exported(program=PROGRAM, **more):
    return {
        "archive_format": b"pt2",
        "models/model.json": program if isinstance(program, bytes) else json.dumps(program),
        "data/weights/model_weights_config.json": b"{}",
        "data/weights/weight_0": b"\0" * 64,
        "data/sample_inputs/model.pt": saved(EMPTY),
        **{name.replace("__", "/"): data for name, data in more.items()},
    }


PICKLED = {
    "data__weights__model_weights_config.json": json.dumps(
        {"config": {"w": {"path_name": "weight_1", "use_pickle": True}}}
    )
}


def changed(edit):
    program = json.loads(json.dumps(PROGRAM))
    edit(program)
    return exported(program)


def node(program):
    return program["graph_module"]["graph"]["nodes"][0]


def size(program):
    return program["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"]


def test_honest_archives_are_told_apart(tmp_path):
    assert check_torch(archive(tmp_path / "a.pt", SCRIPT)) is Kind.SCRIPT
    assert check_torch(archive(tmp_path / "b.pt2", exported())) is Kind.EXPORTED


def test_weights_alone_are_refused_with_what_to_save_instead(tmp_path):
    path = archive(tmp_path / "a.pt", {"data.pkl": WEIGHTS, "data/0": b"", "version": b"3"})
    with pytest.raises(ModelError, match=r"holds weights \(a state dict\).*torch\.export\.save") as refused:
        check_torch(path)
    assert not isinstance(refused.value, UnsafeModelError)


def test_a_pickled_module_is_refused_by_the_name_of_its_class(tmp_path):
    path = archive(tmp_path / "a.pt", {"data.pkl": b"\x80\x02cmymodels\nNet\n)\x81.", "version": b"3"})
    with pytest.raises(UnsafeModelError, match=r"refers to mymodels\.Net.*torch\.export\.save"):
        check_torch(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data.pkl": SYSTEM}, r"posix\.system"),
        ({"constants.pkl": SYSTEM}, r"constants\.pkl refers to posix\.system"),
        ({"traced_inputs.pkl": SYSTEM}, r"posix\.system"),
        ({"code/__torch__.py.debug_pkl": SYSTEM}, r"posix\.system"),
        ({"data.pkl": b"\x80\x04\x8c\x05posix\x8c\x06system\x93."}, "STACK_GLOBAL"),
        ({"data.pkl": b"\x80\x02c__torch__.torch.classes.dist_c10d\nStore\n."}, "dist_c10d"),
        ({"data.pkl": b"\x80\x02ctorch.hub\nload\n."}, r"torch\.hub\.load"),
        ({"code/__torch__.py": CODE % b"torch.from_file('/etc/passwd', True, 10)"}, "from_file"),
        ({"code/__torch__.py": CODE % b"ops.aten.save(x, '/tmp/x')"}, "save, which reads or writes files"),
        ({"code/__torch__.py": CODE % b"(x).save('/tmp/x')"}, "save, which reads or writes files"),
        ({"code/__torch__.py": CODE % b"ops.c10d.send(x)"}, "operators of c10d"),
        ({"code/__torch__.py": b"import os\n"}, "imports os"),
        ({"code/run.so": b"\x7fELF"}, "neither code nor"),
        ({"data/aotinductor/model/a.so": b"\x7fELF"}, "compiled code"),
    ],
)
def test_code_in_torchscript_is_refused(tmp_path, change, words):
    with pytest.raises(UnsafeModelError, match=words):
        check_torch(archive(tmp_path / "a.pt", {**SCRIPT, **change}))


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (changed(lambda p: node(p).update(target="torch.hub.os.system")), r"torch\.hub\.os\.system"),
        (changed(lambda p: node(p).update(target="torch.ops.aten.from_file.default")), "from_file"),
        (changed(lambda p: node(p).update(target="torch.ops.higher_order.triton_kernel_wrapper")), "triton"),
        (changed(lambda p: node(p).update(target="_operator.methodcaller")), "methodcaller"),
        (changed(lambda p: node(p).update(target="math.__loader__")), "__loader__"),
        (changed(lambda p: node(p).update(name="a = __import__('os')")), "where a name belongs"),
        (changed(lambda p: size(p).update(expr_str="__import__('os').system('true')")), "as a size"),
        (changed(lambda p: size(p).update(expr_str="Symbol('a b')")), "as a size"),
        (changed(lambda p: size(p).update(expr_str="exec('1')")), "as a size"),
        (changed(lambda p: size(p).update(expr_str="(lambda: 1)()")), "as a size"),
        (changed(lambda p: p.update(guards_code=["__import__('os').system('true')"])), "as a guard"),
        (changed(lambda p: p.update(guards_code=["L['x'].__class__"])), "as a guard"),
        (changed(lambda p: p.update(guards_code=["True) or f(", "1"])), "cannot be checked"),
        (
            changed(lambda p: p["graph_module"]["module_call_graph"][0]["signature"].update(
                in_spec='[1, {"context": {"__enum__": true, "fqn": "os.system"}}]')),
            "Python class",
        ),
        (changed(lambda p: p["graph_module"]["graph"].update(custom_obj_values={"a": {}})), "no tensors"),
        (exported(data__constants__custom_obj_0=b"PK"), "pickled object"),
        (exported(data__constants__opaque_obj_0=SYSTEM), "pickled object"),
        (exported(**PICKLED, data__weights__weight_1=saved(SYSTEM)), r"posix\.system"),
        (exported(**{"data__sample_inputs__model.pt": saved(SYSTEM)}), r"posix\.system"),
        (exported(**{"data__sample_inputs__model.pt": SYSTEM}), "no archive around it"),
        (exported(**PICKLED, data__weights__weight_1=SYSTEM), "no archive around it"),
    ],
)  # fmt: skip
def test_code_in_an_exported_program_is_refused(tmp_path, entries, words):
    with pytest.raises(UnsafeModelError, match=words):
        check_torch(archive(tmp_path / "a.pt2", entries))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no archive"),
        (SYSTEM, "old pickle"),
        (archive(io.BytesIO(), SCRIPT).getvalue()[:-40], "no archive"),
        (archive(io.BytesIO(), {"a.txt": b"1"}).getvalue(), "neither TorchScript"),
        (archive(io.BytesIO(), {**SCRIPT, "code/__torch__.py": b"def ("}).getvalue(), "not TorchScript"),
        (archive(io.BytesIO(), {**SCRIPT, "data.pkl": b"\xff"}).getvalue(), "not a pickle"),
        (archive(io.BytesIO(), exported(b"{")).getvalue(), "not JSON"),
        (archive(io.BytesIO(), exported(b"[]")).getvalue(), "no graph_module"),
        (archive(io.BytesIO(), exported(models__other=b"{}")).getvalue(), r"models/model\.json alone"),
    ],
)
def test_a_damaged_file_is_a_load_error(tmp_path, content, words):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as refused:
        check_torch(path)
    assert not isinstance(refused.value, UnsafeModelError)


def ambiguous():
    plain = archive(io.BytesIO(), SCRIPT).getvalue()
    yield "before", b"PK\x03\x04junk" + plain
    yield "after", plain + b"\0"
    twice = io.BytesIO(plain)
    with zipfile.ZipFile(twice, "a") as more, pytest.warns(UserWarning, match="Duplicate"):
        more.writestr("m/data.pkl", SYSTEM)
    yield "twice", twice.getvalue()
    yield "by case", archive(io.BytesIO(), {**SCRIPT, "DATA.pkl": SYSTEM}).getvalue()
    yield "upwards", archive(io.BytesIO(), {**SCRIPT, "../a": b""}).getvalue()
    yield "absolute", archive(io.BytesIO(), {"/a": b""}, top="").getvalue()


@pytest.mark.parametrize(("case", "content"), list(ambiguous()))
def test_an_archive_that_readers_may_take_differently_is_refused(tmp_path, case, content):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError):
        check_torch(path)


def test_a_bomb_is_refused_before_it_unfolds(tmp_path, monkeypatch):
    monkeypatch.setattr("fairtrial_servers.safety.archives.MAX_UNCOMPRESSED", 1 << 20)
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("m/data/0", b"\0" * (2 << 20))
    with pytest.raises(UnsafeModelError, match="holds more than"):
        check_torch(path)
