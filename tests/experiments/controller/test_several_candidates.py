"""A run with two candidates: each gets its verdict, the better one is promoted, nothing else is left."""

import json
import shutil
from pathlib import Path

from experiments.runs import assert_no_orphans, fairtrial, journal_of, only_run
from fairtrial.journal.entries import Effect, Kind


def test_the_candidate_that_passes_is_promoted_and_the_other_one_told(quick_project: Path):
    shutil.copytree(quick_project / "models/v1", quick_project / "models/v3")
    file = quick_project / "experiment.yaml"
    text = file.read_text()
    both = "[{name: v3, modelUri: models/v3}, {name: v2, modelUri: models/v2}]"
    file.write_text(text.replace("[{name: v2, modelUri: models/v2}]", both))

    done = fairtrial("run", cwd=quick_project)

    run = only_run(quick_project)
    assert done.returncode == 0, done.stderr
    verdict = json.loads((run / "verdict.json").read_text())
    assert (verdict["verdict"], verdict["candidate"]) == ("PROMOTE", "v2")
    ended = {each["candidate"]: each["verdict"] for each in verdict["candidates"]}
    assert ended["v2"] == "PROMOTE"
    assert ended["v3"] in ("INCONCLUSIVE", "ROLLBACK")
    assert f"v3 ended in {ended['v3']}" in verdict["reasons"][-1]
    promoted = [e for e in journal_of(run) if e.kind is Kind.DONE and e.effect is Effect.PROMOTE]
    assert [entry.body["outcome"] for entry in promoted] == ["all traffic goes to v2"]
    assert_no_orphans(run)
    replayed = fairtrial("replay", run, cwd=quick_project)
    assert replayed.returncode == 0, replayed.stdout
    report = (run / "report.html").read_text()
    assert f"v3 ended in {ended['v3']}" in report
