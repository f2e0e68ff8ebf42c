"""Every component, started by the real seldon-core-microservice, answers over REST and gRPC, and refuses what
is wrong with a sentence."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import grpc
import numpy as np
import pytest
from fairtrial_graph_components.policies.outliers import fit
from google.protobuf import json_format
from microservice import Microservice
from seldon_core.proto import prediction_pb2, prediction_pb2_grpc

ROW = {"data": {"names": ["a", "b"], "ndarray": [[1.0, 2.0]]}}
V2 = {"id": "7", "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.0]}]}
ROUTERS = {
    "epsilon_greedy.EpsilonGreedy": {"n_branches": 2, "epsilon": 0.2},
    "thompson_sampling.ThompsonSampling": {"n_branches": 2},
    "hash_sticky.HashSticky": {
        "n_branches": 2,
        "weights": "90,10",
        "tag": "user",
        "header": "X-User",
        "field": "u.id",
    },
}
COMBINERS = {"average.Average": {}, "majority_vote.MajorityVote": {}}
NO_MESSAGES = [
    "",
    "{",
    "[]",
    "[1, 2]",
    "3",
    "null",
    '"text"',
    "{}",
    b"\xff\xfe",
    "[" * 100_000,
    '{"data": 3}',
    '{"data": {}}',
    '{"data": {"ndarray": 3}}',
    '{"data": {"ndarray": [[1], [1, 2]]}}',
    '{"data": {"tensor": {"shape": [2, 2], "values": [1]}}}',
    '{"data": {"tensor": {"shape": [-1], "values": [1]}}}',
    '{"data": {"tensor": {"values": [1]}}}',
    '{"data": {"names": 3, "ndarray": [1]}}',
    '{"data": {"tftensor": {}}}',
    '{"strData": 3}',
    '{"meta": 3, "data": {"ndarray": [[1, 2]]}}',
    '{"meta": {"tags": 3}, "data": {"ndarray": [[1, 2]]}}',
]
# What a router does not read it does not judge; the branch does.
NO_ROUTES = ["", "{", "[]", "[1, 2]", "3", "null", '"text"', b"\xff\xfe", "[" * 100_000]
NO_FEEDBACK = [
    *NO_ROUTES,
    "{}",
    '{"reward": 1}',
    '{"reward": "NaN", "response": {"meta": {"routing": {"node": 0}}}}',
    '{"reward": NaN, "response": {"meta": {"routing": {"node": 0}}}}',
    '{"reward": Infinity, "response": {"meta": {"routing": {"node": 0}}}}',
    '{"reward": 1e39, "response": {"meta": {"routing": {"node": 0}}}}',
    '{"reward": 1e400, "response": {"meta": {"routing": {"node": 0}}}}',
    '{"reward": "-Infinity", "response": {"meta": {"routing": {"node": 0}}}}',
    '{"reward": true, "response": {"meta": {"routing": {"node": 0}}}}',
    '{"reward": null, "response": {"meta": {"routing": {"node": 0}}}}',
    '{"reward": [1], "response": {"meta": {"routing": {"node": 0}}}}',
    '{"response": {"meta": {"routing": {"node": 0}}}}',
    '{"reward": 1, "response": {"meta": {"routing": {"node": 2}}}}',
    '{"reward": 1, "response": {"meta": {"routing": {"node": -1}}}}',
    '{"reward": 1, "response": {"meta": {"routing": {"other": 0}}}}',
    '{"reward": 1, "response": {"meta": {"routing": {"node": "first"}}}}',
    '{"reward": 1, "response": 3}',
    '{"reward": 1, "extra": 1}',
]


def stub(service, kind):
    channel = grpc.insecure_channel(f"127.0.0.1:{service.grpc}")
    grpc.channel_ready_future(channel).result(20)
    return getattr(prediction_pb2_grpc, f"{kind}Stub")(channel)


def proto(message):
    return json_format.ParseDict(message, prediction_pb2.SeldonMessage())


def refused(service, path, body):
    status, text = service.request("POST", path, body, {"Content-Type": "application/json"})
    assert status == 400, (path, body[:80], text)
    assert json.loads(text)["status"]["info"], (path, body[:80])
    assert "Traceback" not in text


def refuses_other_forms(service, path):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert service.request("POST", path, "json={", form)[0] == 400
    assert service.request("GET", f"{path}?json=%7B")[0] == 400
    parts = b'--x\r\nContent-Disposition: form-data; name="data"\r\n\r\n{\r\n--x--\r\n'
    assert service.request("POST", path, parts, {"Content-Type": "multipart/form-data; boundary=x"})[0] == 400
    assert service.request("POST", path, "{}", {"Content-Type": "text/plain"})[0] == 400
    assert service.request("GET", "/nowhere")[0] == 404
    assert service.request("DELETE", path)[0] == 405


@pytest.mark.parametrize("router", ROUTERS)
def test_routers_answer_and_refuse(start, router):
    service = start(router, "ROUTER", **ROUTERS[router])
    for message in (ROW, {"strData": "x"}, {"jsonData": {"any": 1}}, V2, {"data": {"tftensor": {}}}):
        assert service.route(message) in (0, 1)
    reply = service.post("/route", ROW)[1]
    # Seldon's executor reads it strictly: a field that it does not know is no answer.
    proto(reply)
    assert reply["meta"]["tags"]["node.branch"] in ("0", "1")
    answered = stub(service, "Router").Route(proto(ROW))
    assert answered.data.ndarray.values[0].list_value.values[0].number_value in (0, 1)
    assert 'fairtrial_router_requests_total{branch="' in service.scrape()
    for body in NO_ROUTES:
        refused(service, "/route", body)
    refuses_other_forms(service, "/route")
    assert service.route() in (0, 1)


@pytest.mark.parametrize("router", ["epsilon_greedy.EpsilonGreedy", "thompson_sampling.ThompsonSampling"])
def test_feedback_is_counted_by_its_branch_and_refused_where_it_is_none(start, router):
    service = start(router, "ROUTER", **ROUTERS[router])
    for reward, branch in ((0, 0), (0.0, 0), (1, 1), (0, 1)):
        status, reply = service.reward(reward, branch)
        assert status == 200, reply
    with pytest.raises(grpc.RpcError, match="routing"):
        stub(service, "Router").SendFeedback(prediction_pb2.Feedback(reward=1))
    response = proto({"meta": {"routing": {"node": 1}}})
    with pytest.raises(grpc.RpcError, match="finite"):
        stub(service, "Router").SendFeedback(prediction_pb2.Feedback(reward=float("nan"), response=response))
    for body in NO_FEEDBACK:
        refused(service, "/send-feedback", body)
    scraped = service.scrape()
    assert counted(scraped, 'fairtrial_router_rewards_total{branch="0"') == 2  # rewards of 0 are rewards
    assert counted(scraped, 'fairtrial_router_rewards_total{branch="1"') == 2
    assert counted(scraped, 'fairtrial_router_reward_mean{branch="1"') == pytest.approx(0.5)


def counted(scraped, beginning):
    return sum(float(line.rpartition(" ")[2]) for line in scraped.splitlines() if line.startswith(beginning))


def test_the_missing_reward_of_a_protobuf_client_can_be_0(start):
    service = start("epsilon_greedy.EpsilonGreedy", "ROUTER", n_branches=2, missing_reward="zero")
    assert service.post("/send-feedback", {"response": {"meta": {"routing": {"node": 1}}}})[0] == 200
    assert counted(service.scrape(), "fairtrial_router_rewards_total") == 1


def test_a_unit_stays_wherever_it_is_named(start):
    service = start("hash_sticky.HashSticky", "ROUTER", **ROUTERS["hash_sticky.HashSticky"])
    by_header = [service.route(headers={"X-User": f"user-{n}"}) for n in range(60)]
    by_tag = [service.route({**ROW, "meta": {"tags": {"user": f"user-{n}"}}}) for n in range(60)]
    by_field = [service.route({**ROW, "u": {"id": f"user-{n}"}}) for n in range(60)]
    assert by_header == by_tag == by_field
    assert set(by_header) == {0, 1}
    numbered = [service.route({**ROW, "meta": {"tags": {"user": n}}}) for n in range(40)]
    router = stub(service, "Router")
    over_grpc = [router.Route(proto({**ROW, "meta": {"tags": {"user": n}}})) for n in range(40)]
    assert [r.data.ndarray.values[0].list_value.values[0].number_value for r in over_grpc] == numbered
    assert {service.route() for _ in range(20)} == {0}  # without a unit: the first
    refused(service, "/route", '{"meta": {"tags": {"user": [1]}}, "strData": "x"}')
    refused(service, "/route", '{"meta": {"tags": 1}, "strData": "x"}')
    refused(service, "/route", '{"meta": 1, "strData": "x"}')


@pytest.mark.parametrize("combiner", COMBINERS)
def test_combiners_answer_and_refuse(start, combiner):
    service = start(combiner, "COMBINER", **COMBINERS[combiner])
    answers = [
        {**ROW, "meta": {"puid": "p", "tags": {"t": n}, "requestPath": {f"m{n}": "i"}}} for n in range(3)
    ]
    for body in (answers, {"seldonMessages": answers}):
        status, reply = service.post("/aggregate", body)
        assert status == 200, reply
        assert reply["data"] == ROW["data"]
        assert reply["meta"]["puid"] == "p"
        assert {"m0", "m1", "m2", "node"} <= reply["meta"]["requestPath"].keys()
    together = prediction_pb2.SeldonMessageList(seldonMessages=[proto(answer) for answer in answers])
    assert json_format.MessageToDict(stub(service, "Combiner").Aggregate(together).data) == ROW["data"]
    for body in NO_MESSAGES:
        refused(service, "/aggregate", body)
        if isinstance(body, str) and len(body) < 1000 and body:
            refused(service, "/aggregate", f"[{json.dumps(ROW)}, {body}]")
    refused(service, "/aggregate", json.dumps([ROW, {"data": {"ndarray": [[1.0]]}}]))
    refuses_other_forms(service, "/aggregate")
    assert service.post("/aggregate", answers)[0] == 200


def test_the_bridge_answers_and_refuses(start):
    service = start("v2_bridge.V2Bridge", "TRANSFORMER", to="seldon")
    status, reply = service.post("/transform-input", V2)
    assert status == 200
    assert reply["data"] == {"names": [], "tensor": {"shape": [1, 2], "values": [1.5, 2.0]}}
    over_grpc = stub(service, "Transformer").TransformInput(proto({"jsonData": V2}))
    assert list(over_grpc.data.tensor.values) == [1.5, 2.0]
    for body in NO_MESSAGES:
        refused(service, "/transform-input", body)
    refuses_other_forms(service, "/transform-input")
    back = start("v2_bridge.V2Bridge", "TRANSFORMER", unit="model", to="v2")
    status, answer = back.post("/transform-output", {**ROW, "meta": reply["meta"]})
    assert status == 200
    assert (answer["id"], answer["model_name"]) == ("7", "model")
    assert [each["name"] for each in answer["outputs"]] == ["a", "b"]
    over_grpc = stub(back, "OutputTransformer").TransformOutput(proto(ROW))
    assert over_grpc.jsonData.struct_value.fields["outputs"].list_value.values
    for body in NO_MESSAGES:
        refused(back, "/transform-output", body)


def test_the_outlier_detector_tags_and_passes_on(start, tmp_path):
    rows = np.random.default_rng(0).normal([5, -3], [1, 10], (2000, 2))
    path = tmp_path / "outliers.json"
    path.write_text(json.dumps(fit(rows, names=["a", "b"]).document()))
    service = start("outlier_detector.OutlierDetector", "TRANSFORMER", path=str(path))
    sent = {
        "data": {"names": ["a", "b"], "ndarray": [[5, -3], [50, -3]]},
        "meta": {"puid": "p", "tags": {"x": 1}},
    }
    status, reply = service.post("/transform-input", sent)
    assert status == 200, reply
    assert reply["data"] == sent["data"]
    assert reply["meta"]["tags"]["is_outlier"] == [False, True]
    assert reply["meta"]["tags"]["x"] == 1
    answered = stub(service, "Transformer").TransformInput(proto(sent))
    assert json_format.MessageToDict(answered.meta)["tags"]["is_outlier"] == [False, True]
    assert counted(service.scrape(), "fairtrial_outlier_flagged_total") == pytest.approx(2)
    for body in (
        *NO_MESSAGES,
        '{"data": {"ndarray": [1, 2]}}',
        '{"data": {"ndarray": [[1, 2, 3]]}}',
        '{"data": {"ndarray": [[1, null]]}}',
        '{"data": {"ndarray": [["a", "b"]]}}',
        '{"data": {"ndarray": [[NaN, 1]]}}',
        '{"data": {"names": ["b", "a"], "ndarray": [[1, 2]]}}',
        '{"strData": "x"}',
    ):
        refused(service, "/transform-input", body)


@pytest.mark.parametrize(
    ("component", "parameters", "says"),
    [
        ("epsilon_greedy.EpsilonGreedy", {}, "n_branches is missing"),
        ("epsilon_greedy.EpsilonGreedy", {"n_branches": 2, "epsilon": 2}, "from 0 to 1"),
        ("epsilon_greedy.EpsilonGreedy", {"n_branches": 2, "epsilom": 0.5}, "did you mean epsilon"),
        ("epsilon_greedy.EpsilonGreedy", {"n_branches": 2, "branch_names": "a"}, "2 different names"),
        (
            "thompson_sampling.ThompsonSampling",
            {"n_branches": 2, "state": "http://x"},
            "must begin with redis",
        ),
        ("thompson_sampling.ThompsonSampling", {"n_branches": 2, "state": "redis://:s@h"}, "from a Secret"),
        ("thompson_sampling.ThompsonSampling", {"n_branches": 2, "rewards": "x"}, "one of bernoulli"),
        ("hash_sticky.HashSticky", {"n_branches": 2}, "header, tag or field"),
        ("hash_sticky.HashSticky", {"n_branches": 2, "tag": "u", "weights": "1"}, "2 numbers"),
        ("average.Average", {"weights": "1,-1"}, "numbers from 0 on"),
        ("v2_bridge.V2Bridge", {"datatype": "FP8"}, "V2 does not have"),
        ("outlier_detector.OutlierDetector", {"path": "/nowhere"}, "cannot be read"),
    ],
)
def test_a_mistake_in_the_parameters_is_a_sentence(capsys, component, parameters, says):
    module, _, name = component.rpartition(".")
    with pytest.raises(SystemExit, match="2"):
        getattr(importlib.import_module(f"fairtrial_graph_components.{module}"), name)(**parameters)
    written = capsys.readouterr().err
    assert says in written
    assert len(written.splitlines()) == 1


def test_a_mistake_in_the_parameters_ends_the_container(tmp_path):
    service = Microservice(tmp_path, "average.Average", "COMBINER", weight="1,2")
    try:
        assert service.process.wait(60) == 2
    finally:
        service.kill()
    log = service.log.read_text()
    assert log.splitlines()[-1] == "node: parameter weight is not known, did you mean weights?"
    assert "Traceback" not in log


def test_a_detector_is_made_from_a_csv_file(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n" + "\n".join(f"{n % 7},{n % 11}" for n in range(400)))
    command = [sys.executable, "-m", "fairtrial_graph_components.fit_outliers", "rows.csv", "out.json"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    assert json.loads((tmp_path / "out.json").read_text())["names"] == ["a", "b"]
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n")
    failed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("fairtrial-fit-outliers: rows.csv: ")
    assert len(failed.stderr.splitlines()) == 1
