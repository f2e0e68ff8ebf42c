"""PMML models on a real server: scikit-learn's predictions, missing and unknown values, and a clean end."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import grpc
import httpx
import numpy as np
import pytest
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from servers.v2_cases import columns_gone_wrong, tensor
from sklearn.linear_model import LogisticRegression

pytest.importorskip("pypmml", reason="PMML needs an extra: uv sync --group pmml")
pytestmark = pytest.mark.heavy

PATH = "/v2/models/digits/infer"
COLOURS = ["blue", "green", "red"]


def document(model: LogisticRegression, output: str) -> str:
    """A classifier of a colour (one hot), a size and a count as PMML, its softmax over linear scores."""
    tables = ""
    for label, scores, intercept in zip(model.classes_, model.coef_, model.intercept_, strict=True):
        terms = "".join(
            f'<CategoricalPredictor name="colour" value="{colour}" coefficient="{score!r}"/>'
            for colour, score in zip(COLOURS, scores[:3].tolist(), strict=True)
        )
        numbers = "".join(
            f'<NumericPredictor name="{name}" coefficient="{score!r}"/>'
            for name, score in zip(["size", "count"], scores[3:].tolist(), strict=True)
        )
        tables += (
            f"<RegressionTable targetCategory={quoteattr(str(label))} intercept='{float(intercept)!r}'>"
            f"{numbers}{terms}</RegressionTable>"
        )
    colours = "".join(f'<Value value="{colour}"/>' for colour in COLOURS)
    labels = "".join(f"<Value value={quoteattr(str(label))}/>" for label in model.classes_)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/>
<DataDictionary>
<DataField name="colour" optype="categorical" dataType="string">{colours}</DataField>
<DataField name="size" optype="continuous" dataType="double"/>
<DataField name="count" optype="continuous" dataType="integer"/>
<DataField name="kind" optype="categorical" dataType="string">{labels}</DataField>
</DataDictionary>
<RegressionModel functionName="classification" normalizationMethod="softmax">
<MiningSchema><MiningField name="kind" usageType="target"/><MiningField name="colour"/>
<MiningField name="size"/><MiningField name="count" missingValueReplacement="3"/></MiningSchema>
{output}{tables}</RegressionModel></PMML>"""


@pytest.fixture(scope="module")
def rows():
    draw = np.random.default_rng(1)
    colours = draw.choice(COLOURS, 120)
    return colours, draw.normal(size=120), draw.integers(0, 9, 120)


def matrix(colours, sizes, counts):
    hot = np.array([[colour == each for each in COLOURS] for colour in colours], dtype=float)
    return np.column_stack([hot, sizes, counts])


@pytest.fixture(scope="module")
def model(rows):
    colours, sizes, counts = rows
    kinds = np.select([sizes + (colours == "red") > 1, counts > 5], ["big <", "ma & ny"], "none")
    return LogisticRegression(max_iter=200).fit(matrix(*rows), kinds)


@pytest.fixture(scope="module")
def server(model, begin, tmp_path_factory):
    probabilities = "".join(
        f'<OutputField name="p{index}" feature="probability" value={quoteattr(str(label))} '
        f'dataType="double" optype="continuous"/>'
        for index, label in enumerate(model.classes_)
    )
    # The prediction is not the first: it is answered first all the same.
    output = (
        f"<Output>{probabilities}"
        '<OutputField name="label" feature="predictedValue" dataType="string" optype="categorical"/></Output>'
    )
    path = tmp_path_factory.mktemp("pmml") / "model.pmml"
    path.write_text(document(model, output))
    return begin(path, "FAIRTRIAL_PMML_SERVER")


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.url, timeout=60) as opened:
        yield opened


def columns(colours, sizes, counts):
    return [
        tensor("colour", "BYTES", list(colours)),
        tensor("size", "FP64", list(sizes)),
        tensor("count", "INT64", list(counts)),
    ]


def test_the_metadata_is_that_of_the_data_dictionary_and_the_output(client):
    about = client.get("/v2/models/digits").raise_for_status().json()
    said = {key: [(each["name"], each["datatype"], each["shape"]) for each in about[key]]
            for key in ("inputs", "outputs")}  # fmt: skip
    assert about["platform"] == "pmml"
    assert said["inputs"] == [("colour", "BYTES", [-1]), ("size", "FP64", [-1]), ("count", "INT64", [-1])]
    assert said["outputs"] == [("label", "BYTES", [-1]), *[(f"p{i}", "FP64", [-1]) for i in range(3)]]


def test_predictions_are_scikit_learns_over_rest(client, model, rows):
    sent = columns(rows[0].tolist(), rows[1].tolist(), rows[2].tolist())
    label, *probabilities = client.post(PATH, json={"inputs": sent}).raise_for_status().json()["outputs"]
    assert label["data"] == model.predict(matrix(*rows)).tolist()
    got = np.array([each["data"] for each in probabilities]).T
    assert np.abs(got - model.predict_proba(matrix(*rows))).max() <= 1e-6


def test_and_over_grpc(server, model, rows):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        asked = pb.ModelInferRequest(model_name="digits")
        for name, datatype, field, values in [
            ("colour", "BYTES", "bytes_contents", [each.encode() for each in rows[0].tolist()]),
            ("size", "FP64", "fp64_contents", rows[1].tolist()),
            ("count", "INT64", "int64_contents", rows[2].tolist()),
        ]:
            into = asked.inputs.add(name=name, shape=[len(values)], datatype=datatype)
            getattr(into.contents, field).extend(values)
        answer = {each.name: each.contents for each in stub.ModelInfer(asked).outputs}
        got = np.array([list(answer[f"p{index}"].fp64_contents) for index in range(3)]).T
        assert np.abs(got - model.predict_proba(matrix(*rows))).max() <= 1e-6
        asked.inputs[0].contents.bytes_contents[0] = b"\xff"
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(asked)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_missing_value_is_replaced_where_the_model_says_by_what(client, model):
    sent = {"inputs": columns(["red", "red"], [0.5, 0.5], [None, 3]), "outputs": [{"name": "p0"}]}
    (output,) = client.post(PATH, json=sent).raise_for_status().json()["outputs"]
    expected = model.predict_proba(matrix(["red"], [0.5], [3]))[0, 0]
    assert output["data"] == pytest.approx([expected] * 2, abs=1e-6)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ((["red"], [None], [1]), "row 0 of this input (missing: size)"),
        ((["red", "purple"], [0.5, 0.5], [1, 1]), "row 1 of this input (not among the values that the model"),
    ],
)
def test_a_row_without_an_answer_is_refused_with_the_reason(client, sent, words):
    refused = client.post(PATH, json={"inputs": columns(*sent)})
    assert refused.status_code == 400
    assert words in refused.json()["error"]


GOOD = {"colour": ("BYTES", ["red"]), "size": ("FP64", [0.5]), "count": ("INT64", [1])}


def test_malformed_requests_are_refused_in_words(server, client):
    cases = columns_gone_wrong(GOOD, number="size", text="colour")
    assert len(cases) >= 20
    for case, inputs in cases.items():
        refused = client.post(PATH, json={"inputs": inputs})
        assert refused.status_code == 400, (case, refused.text)
        error = refused.json()["error"]
        assert error, case
        assert "java" not in error.lower(), case
    assert "Traceback" not in server.errors()


def test_a_document_type_never_reaches_the_parser(start, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    hostile = tmp_path / "model.pmml"
    hostile.write_text(f'<!DOCTYPE PMML [<!ENTITY e SYSTEM "{secret.as_uri()}">]><PMML>&e;</PMML>')
    served = start(hostile, implementation="FAIRTRIAL_PMML_SERVER")
    assert served.wait_ended() == 4
    assert "<!DOCTYPE PMML>" in served.errors().strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4"/>', "pmml4s cannot load"),
        ('<PMML version="4.4"><Header/><DataDictionary/><OwnModel/></PMML>', "OwnModel"),
    ],
)
def test_what_is_no_model_is_a_load_error_without_a_java_stack(start, tmp_path, content, words):
    (tmp_path / "model.pmml").write_text(content)
    served = start(tmp_path / "model.pmml", implementation="FAIRTRIAL_PMML_SERVER")
    assert served.wait_ended() == 3
    assert words in served.errors().strip().splitlines()[-1]
    assert "\tat " not in served.errors()


def test_without_a_java_it_is_said_what_to_install(start, tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    (tmp_path / "model.pmml").write_text('<PMML version="4.4"/>')
    served = start(tmp_path / "model.pmml", implementation="FAIRTRIAL_PMML_SERVER")
    assert served.wait_ended() == 2
    assert "install" in served.errors().strip().splitlines()[-1]
