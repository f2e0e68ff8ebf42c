"""Requests that are made up from what a model says of its inputs."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.generated import Generated, encoder_of
from fairtrial_loadtests.payload_files import PayloadFiles, material_of
from fairtrial_loadtests.plan import Generate, LoadPlan, Requests
from fairtrial_loadtests.v2 import ModelMetadata, TensorSpec
from scipy import stats


def made(*inputs, row=0, seed=1, **generate):
    metadata = ModelMetadata(tuple(TensorSpec(*each) for each in inputs))
    encoder = encoder_of("v1", metadata, Generated(Generate(**generate), seed))
    return json.loads(encoder.encode(row))["inputs"]


def test_every_input_gets_its_name_its_datatype_and_as_many_values_as_its_shape_has():
    image, ids, text, flag = made(
        ("image", "FP32", (-1, 3, 8)),
        ("ids", "INT64", (4,)),
        ("text", "BYTES", (-1, 1)),
        ("flag", "BOOL", (-1,)),
    )
    assert (image["name"], image["datatype"], image["shape"]) == ("image", "FP32", [1, 3, 8])
    assert len(image["data"]) == 24
    assert all(isinstance(value, float) for value in image["data"])
    assert ids["shape"] == [4]
    assert all(isinstance(value, int) and 0 <= value < 10 for value in ids["data"])
    assert isinstance(text["data"][0], str)
    assert isinstance(flag["data"][0], bool)


def test_a_row_follows_from_the_seed_and_its_number():
    x = ("x", "FP64", (-1, 5))
    assert made(x, row=3) == made(x, row=3)
    assert made(x, row=3) != made(x, row=4)
    assert made(x, row=3) != made(x, row=3, seed=2)
    assert made(("y", "FP64", (-1, 5)), row=3)[0]["data"] == made(x, row=3)[0]["data"]
    values = [made(x, row=row)[0]["data"] for row in range(400)]
    assert stats.kstest(np.ravel(values), "norm").pvalue > 0.01


def test_what_a_model_leaves_open_is_as_large_as_said():
    assert made(("x", "INT32", (-1, -1)), size=7)[0]["shape"] == [1, 7]
    with pytest.raises(BadLoadError, match=r"leaves open how many.*requests\.generate\.size"):
        made(("x", "INT32", (-1, -1)))


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([], "does not say what it takes"),
        ([("x", "TENSOR", (1,))], "cannot be made up"),
        ([("x", "FP32", (-1, 4096, 4096))], "too much"),
    ],
)
def test_what_cannot_be_made_up_is_refused_in_a_sentence(inputs, said):
    with pytest.raises(BadLoadError, match=said):
        made(*inputs)


def test_a_load_sends_made_up_rows_to_both_arms_and_scores_none(server, make_plan, run_load):
    for arm in ("v1", "v2"):
        server.control(arm, metadata={"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]})
    plan = make_plan(requests=Requests(None, generate=Generate(rows=20)))
    run = run_load(plan)
    sent = [json.dumps([request["body"] for request in server.log(arm)]) for arm in ("v1", "v2")]
    assert len(json.loads(sent[0])) > 50
    bodies = [sorted(map(json.dumps, json.loads(each))) for each in sent]
    assert bodies[0] == bodies[1]
    assert len(set(bodies[0])) == 20
    assert run.observations["score"].null_count == run.observations.num_rows
    assert set(run.observations["status"].to_pylist()) == {200}


def test_workers_elsewhere_make_up_the_same(make_plan):
    plan = make_plan(requests=Requests(None, generate=Generate(rows=20)))
    assert LoadPlan.from_json(plan.to_json()) == plan
    files = PayloadFiles(plan)
    assert files.read() == {}
    assert files.digest != PayloadFiles(replace(plan, seed=99)).digest
    material = material_of({}, plan)
    x = ModelMetadata((TensorSpec("x", "FP32", (-1, 3)),))
    here = Generated(Generate(rows=20), plan.seed)
    assert encoder_of("v1", x, material.data).encode(5) == encoder_of("v1", x, here).encode(5)


def test_a_worker_that_outlives_its_master_takes_no_pace_and_no_rows_of_another_run_for_its_own(make_plan):
    from fairtrial_loadtests.plan import Arrivals, Stage

    plan = make_plan(requests=Requests(None, generate=Generate(rows=20)), arrivals=Arrivals(10.0))
    others = [
        replace(plan, requests=Requests(None, generate=Generate(rows=21))),
        replace(plan, requests=Requests(None, generate=Generate(rows=20, size=3))),
        replace(plan, arrivals=Arrivals(20.0)),
        replace(plan, arrivals=Arrivals(10.0, stages=(Stage(5.0, 10.0), Stage(5.0, 90.0)))),
    ]
    assert len({PayloadFiles(each).digest for each in (plan, *others)}) == 5
    assert PayloadFiles(replace(plan, first_arrival=7)).digest == PayloadFiles(plan).digest


def test_a_trace_comes_to_workers_elsewhere_with_the_data(make_plan, tmp_path):
    from fairtrial_loadtests.plan import Arrivals, Trace
    from fairtrial_loadtests.preparation import schedule_of

    (tmp_path / "trace.csv").write_text("time\n1.0\n1.5\n4.0\n")
    plan = make_plan(arrivals=Arrivals(1.0, trace=Trace(tmp_path / "trace.csv")))
    contents = PayloadFiles(plan).read()
    (tmp_path / "trace.csv").unlink()
    material = material_of(contents, plan)
    schedule = schedule_of(plan, material.data.rows, pace=material.pace)
    assert [arrival.time for arrival in schedule.arrivals()] == [0.0, 0.5, 3.0]
