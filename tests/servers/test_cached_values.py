"""The cache's keys tell apart what may be answered differently; what is kept comes back, or is refused."""

from __future__ import annotations

import numpy as np
import pytest
from fairtrial_servers.serving.cached_values import key_of, model_digest, pack, unpack


def test_a_key_tells_inputs_apart_by_all_that_they_are():
    base = {"x": np.zeros((1, 4))}
    variants = [
        (b"m", base, ["y"], None),
        (b"n", base, ["y"], None),
        (b"m", base, ["z"], None),
        (b"m", base, ["y", "z"], None),
        (b"m", base, ["y"], {"a": 1}),
        (b"m", base, ["y"], {"a": "1"}),
        (b"m", {"w": base["x"]}, ["y"], None),
        (b"m", {"x": np.zeros((2, 2))}, ["y"], None),
        (b"m", {"x": np.zeros((1, 8), dtype="float32")}, ["y"], None),
        (b"m", {"x": np.array(["ab", "c"], dtype=object)}, ["y"], None),
        (b"m", {"x": np.array(["a", "bc"], dtype=object)}, ["y"], None),
        (b"m", {"x": np.array(["a", None], dtype=object)}, ["y"], None),
        (b"m", {"x": np.array(["a", "None"], dtype=object)}, ["y"], None),
    ]
    assert len({key_of(*each) for each in variants}) == len(variants)
    carried = {"content_type": "np", "binary_data_output": True}
    assert key_of(b"m", base, ["y"], carried) == key_of(b"m", dict(base), ["y"], None)


@pytest.mark.parametrize(
    "array",
    [np.arange(6.0).reshape(2, 3), np.array([True]), np.float16([1.5]), np.array([], dtype="int8"),
     np.array(["a", "ü"]), np.array([b"\xff", "b"], dtype=object).reshape(2, 1)],
)  # fmt: skip
def test_what_is_kept_comes_back_as_it_was(array):
    value = pack(b"k" * 64, {"y": array}, 10_000)
    (restored,) = unpack(b"k" * 64, value).values()
    assert restored.tolist() == array.tolist()
    assert restored.shape == array.shape
    assert array.dtype.kind == "U" or restored.dtype == array.dtype


def test_any_change_to_what_is_kept_is_noticed():
    value = pack(b"k" * 64, {"y": np.arange(3.0)}, 10_000)
    damaged = [value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] for at in range(len(value))]
    for each in [*damaged, value[:-1], value + b"x", b"", None]:
        with pytest.raises(ValueError, match="checksum"):
            unpack(b"k" * 64, each)
    with pytest.raises(ValueError, match="checksum"):
        unpack(b"l" * 64, value)


def test_the_digest_of_a_model_is_of_its_files_and_parameters(tmp_path):
    (tmp_path / "a").write_text("1")
    before = model_digest(tmp_path, "R", {})
    assert model_digest(tmp_path, "R", {"cache": "redis://x", "max_batch_size": "8"}) == before
    assert model_digest(tmp_path, "R", {"predict_fn": "predict_proba"}) != before
    assert model_digest(tmp_path, "S", {}) != before
    (tmp_path / "a").rename(tmp_path / "b")
    assert model_digest(tmp_path, "R", {}) != before
