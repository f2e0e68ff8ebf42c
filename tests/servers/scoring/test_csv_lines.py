"""From CSV to CSV: each row is the line that it was, wherever the file stops being plain."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from fairtrial_servers.scoring import whole_lines
from fairtrial_servers.scoring.errors import ScoreError
from servers.scoring.outputs import read

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


@pytest.fixture(params=[40, 1 << 20], ids=["pieces of 40 bytes", "one piece"])
def piece(request, monkeypatch) -> int:
    """What is read at once; few bytes, so that lines lie across pieces."""
    monkeypatch.setattr(whole_lines, "_PIECE", request.param)
    return request.param


PLAIN = [f"{number},n{number},{number % 5}.50,-1,{number % 3}e0" for number in range(300)]
QUOTED = '7,"a ""b"",\nc",1,2,3'

#: Lines after the header, and those that the output has; None: the same.
FILES: dict[str, tuple[list[str], list[str] | None]] = {
    "plain": (PLAIN, None),
    "quotes at once": ([QUOTED, *PLAIN], None),
    "quotes further on": ([*PLAIN, QUOTED, *PLAIN], None),
    "empty lines": ([PLAIN[0], "", "", *PLAIN[1:], ""], PLAIN),
    "empty cells": (["1,,1,2,3", '2,"",1,2,3', ",x,1,2,3"], None),
    "words beyond ASCII": ([*PLAIN, "1,é¥,1,2,3"], None),
    "blanks about numbers": (["1,x, 1,2 ,\t3"], None),
    "numbers in quotes": (['1,x,"1",2,3'], ["1,x,1,2,3"]),
    "a long line": ([*PLAIN, f"1,{'x' * 100_000},1,2,3"], None),
    "no rows": ([], None),
}


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("case", FILES)
def test_lines_are_written_as_they_were_with_the_models_predictions(
    case, end, piece, score, model, estimator, tmp_path
):
    lines, expected = FILES[case]
    (tmp_path / "in.csv").write_bytes(end.join(["id,word,a,b,c", *lines, ""]).encode())
    score(model, tmp_path / "in.csv", tmp_path / "out.csv", batch_rows=64)
    got = (tmp_path / "out.csv").read_bytes().decode().removesuffix("\n").replace(",\n", ",\\n")
    wanted = [line.replace(",\n", ",\\n") for line in (lines if expected is None else expected)]
    header, *rows = got.split("\n")
    assert header == "id,word,a,b,c,predict"
    assert [row.rpartition(",")[0] for row in rows] == wanted
    features = [[float(cell.strip('"')) for cell in row.split(",")[-4:-1]] for row in rows]
    if features:
        answers = estimator.predict(np.array(features)).tolist()
        assert [int(row.rpartition(",")[2]) for row in rows] == answers


@pytest.mark.parametrize("header", ['"id","word","a","b","c"', "\ufeffid,word,a,b,c"], ids=["quoted", "BOM"])
def test_a_header_in_quotes_or_behind_a_byte_order_mark_is_a_header(header, score, model, tmp_path):
    content = "\n".join([header, *PLAIN, ""]).encode()
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(content))
    assert score(model, tmp_path / "in.csv.gz", tmp_path / "out.csv").rows == len(PLAIN)
    assert read(tmp_path / "out.csv").column_names == ["id", "word", "a", "b", "c", "predict"]


BAD_LINES = {
    "a word": ("1,x,1,zz,3", "row 303: column \"b\": 'zz' is no number"),
    "no value, in quotes": ('1,x,1,"NA",3', 'row 303: column "b": the cell is empty'),
    "an empty cell": ("1,x,1,,3", 'row 303: column "b": the cell is empty'),
    "a short line": ("1,x,1,2", "line 304: Expected 5 columns, got 4"),
    "a short line behind quotes": ('1,"x,",1,2', "line 304: Expected 5 columns, got 4"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_line_is_told_by_its_place(case, piece, score, model, tmp_path):
    line, words = BAD_LINES[case]
    content = "\n".join(["id,word,a,b,c", *PLAIN, *PLAIN[:2], line, *PLAIN, ""])
    (tmp_path / "in.csv").write_text(content)
    with pytest.raises(ScoreError, match=words):
        score(model, tmp_path / "in.csv", tmp_path / "out.csv", batch_rows=64)
    assert not (tmp_path / "out.csv").exists()


def test_bytes_that_are_no_text_are_refused(piece, score, model, tmp_path):
    content = "\n".join(["id,word,a,b,c", *PLAIN]).encode() + b"\n1,\xe9,1,2,3\n"
    (tmp_path / "in.csv").write_bytes(content)
    with pytest.raises(ScoreError, match='line 302, column "word": bytes that are no UTF-8'):
        score(model, tmp_path / "in.csv", tmp_path / "out.csv")


def test_a_missing_value_among_numbers_is_one_for_a_model_that_takes_it(piece, score, tmp_path):
    import joblib
    from sklearn.ensemble import HistGradientBoostingClassifier

    x = np.array([[1.0, 2.0], [3.0, np.nan], [2.0, 2.0], [0.0, np.nan]] * 40)
    fitted = HistGradientBoostingClassifier(max_iter=3).fit(x, [0, 1, 0, 1] * 40)
    joblib.dump(fitted, tmp_path / "model.joblib")
    (tmp_path / "in.csv").write_text("p,q\n1,2\n3,NA\n2,2\n0,\n")
    score(tmp_path / "model.joblib", tmp_path / "in.csv", tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert [line.rpartition(",")[0] for line in lines[1:]] == ["1,2", "3,NA", "2,2", "0,"]
    assert [int(line.rpartition(",")[2]) for line in lines[1:]] == fitted.predict(x[:4]).tolist()


def test_a_prediction_is_not_called_as_a_column_is(score, model, tmp_path):
    (tmp_path / "in.csv").write_text("a,b,c,predict\n1,2,3,4\n")
    with pytest.raises(ScoreError, match="--prefix"):
        score(model, tmp_path / "in.csv", tmp_path / "out.csv", targets=("predict",))


def test_a_truth_value_is_one_for_a_model_that_takes_it(score, tmp_path):
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Not", ["flag"], ["other"])],
        "negation",
        [helper.make_tensor_value_info("flag", TensorProto.BOOL, ["n", 1])],
        [helper.make_tensor_value_info("other", TensorProto.BOOL, ["n", 1])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, tmp_path / "model.onnx")
    (tmp_path / "in.csv").write_text("id,flag\n1,true\n2,false\n")
    score(tmp_path / "model.onnx", tmp_path / "in.csv", tmp_path / "out.csv", ids=("id",))
    assert (tmp_path / "out.csv").read_text() == "id,flag,other\n1,true,false\n2,false,true\n"
