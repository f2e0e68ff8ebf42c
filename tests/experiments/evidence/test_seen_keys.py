"""Sets of keys that answer for a whole array at once."""

import numpy as np
import pyarrow as pa
from fairtrial.evidence.arrow import hashes
from fairtrial.evidence.seen import SeenKeys
from hypothesis import given, settings
from hypothesis import strategies as st

KEYS = st.integers(0, 30) | st.integers(2**26 - 3, 2**26 + 3) | st.integers(2**64 - 5, 2**64 - 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(KEYS, max_size=20), max_size=6))
def test_they_agree_with_a_set(batches):
    seen, known = SeenKeys(), set()
    for batch in batches:
        expected = []
        for key in batch:
            expected.append(key not in known)
            known.add(key)
        assert seen.add(np.array(batch, np.uint64)).tolist() == expected


def test_a_set_takes_over_another():
    first, second = SeenKeys(), SeenKeys()
    first.add(np.array([1, 2**40], np.uint64))
    second.add(np.array([2, 2**50], np.uint64))
    first.update(second)
    assert first.add(np.array([1, 2, 3, 2**40, 2**50, 2**51], np.uint64)).tolist() == [
        False, False, True, False, False, True,
    ]  # fmt: skip


def hashed(values, **options) -> list[int]:
    batch = pa.RecordBatch.from_arrays([pa.array(values, **options)], ["id"])
    numbered = hashes(batch, "id")
    assert numbered is not None
    return numbered.keys.tolist()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=30))
def test_strings_hash_alike_exactly_if_they_are_equal(texts):
    keys = hashed(texts)
    assert len(set(keys)) == len(set(texts))
    assert [hashed([text])[0] for text in texts] == keys


def test_a_hash_does_not_depend_on_how_the_column_is_stored():
    texts = ["r1", "r22", "r1", "r333"]
    assert hashed(texts) == hashed(texts, type=pa.large_string())
    assert hashed(texts) == hashed(texts, type=pa.dictionary(pa.int8(), pa.string()))
    sliced = pa.RecordBatch.from_arrays([pa.array(["x", *texts])], ["id"]).slice(1)
    numbered = hashes(sliced, "id")
    assert numbered is not None
    assert numbered.keys.tolist() == hashed(texts)
