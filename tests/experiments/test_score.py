"""`fairtrial score` as it is typed, and the Kubernetes manifests that the page on scoring shows."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import joblib
import numpy as np
import pytest
import yaml
from experiments.runs import fairtrial
from fairtrial_servers.score import main
from sklearn.linear_model import LogisticRegression

_PAGE = Path(__file__).parents[2] / "docs" / "scoring.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("score")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    joblib.dump(LogisticRegression().fit(x, x[:, 0] > 0), home / "model.joblib")
    lines = [f"{number},{a},{b}" for number, (a, b) in enumerate(x.tolist())]
    (home / "rows.csv").write_text("\n".join(["id,p,q", *lines]) + "\n")
    return home


def test_rows_are_scored_and_a_line_says_so(folder):
    result = fairtrial("score", "model.joblib", "rows.csv", "--id", "id", "--out", "out.csv", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("200 rows in out.csv")
    assert (folder / "out.csv").read_text().startswith("id,p,q,predict\n0,")


def test_the_document_tells_what_was_done(folder):
    said = ("model.joblib", "rows.csv", "--id", "id", "--out", "json.csv", "--output", "json")
    document = json.loads(fairtrial("score", *said, cwd=folder).stdout)
    assert (document["rows"], document["resumedFrom"], document["out"]) == (200, 0, "json.csv")
    assert document["rowsPerSecond"] > 0


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("model.joblib", "rows.csv", "--out", "bad.csv"), 2, "the model takes 2"),
        (("none.joblib", "rows.csv", "--out", "bad.csv"), 3, "there is no model at"),
        (("model.joblib", "rows.txt", "--out", "bad.csv"), 2, "rows.txt: rows are read from"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_exit_code_of_its_kind(folder, args, code, words):
    result = fairtrial("score", *args, cwd=folder)
    assert result.returncode == code
    assert words in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_the_manifests_of_the_page_are_valid_and_their_commands_are_ours():
    manifests = [
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    ]
    assert [manifest["kind"] for manifest in manifests] == ["CronJob", "Job"]
    for manifest in manifests:
        spec = manifest["spec"]
        job = spec["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else spec
        pod = job["template"]["spec"]
        (container,) = pod["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        words = container["command"] + container["args"]
        if words[:2] == ["sh", "-c"]:
            words = shlex.split(words[2].replace("$(date -u +%F)", "2026-01-01"))[1:]
        assert words[:3] == ["python", "-m", "fairtrial_servers.score"]
        said = main.make_context("score", words[3:]).params
        assert said["model"].startswith(("file://", "/model"))
        assert said["out"].startswith("/data/")
