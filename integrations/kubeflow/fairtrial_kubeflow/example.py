"""A pipeline: two versions of a model on trial, and the better one packed if it is the new one.

`python -m fairtrial_kubeflow.example pipeline.yaml` compiles it. kfp reads annotations as they are, so that
they may not be put off.
"""

import sys

from kfp import compiler, dsl

from fairtrial_kubeflow.components import pack, score, trial

_EXPERIMENT = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: wine}
spec:
  baseline: {name: v1, modelUri: models/baseline}
  candidates: [{name: v2, modelUri: models/candidate}]
  traffic:
    loadTest: {arrivalRate: 100/s, maxDuration: 60s, requests: {data: holdout.parquet, target: target}}
  metrics:
    - {name: accuracy, minEffect: 1pp}
    - {name: errorRate, maxRegression: 1pp}
"""


@dsl.pipeline(
    name="fairtrial-trial", description="A trial of two versions; the new one is packed if it is better."
)
def pipeline(baseline: str, candidate: str, holdout: str, image: str):
    """baseline, candidate, holdout: addresses of artifacts. image: where the winner's image goes."""
    old = dsl.importer(artifact_uri=baseline, artifact_class=dsl.Model, reimport=False)
    new = dsl.importer(artifact_uri=candidate, artifact_class=dsl.Model, reimport=False)
    rows = dsl.importer(artifact_uri=holdout, artifact_class=dsl.Dataset, reimport=False)
    # Cached by Kubeflow: the same models and rows are not tried twice, and their verdict is drawn once. An
    # experiment that names what moves (models:/wine@champion) needs `.set_caching_options(False)`.
    tried = trial(experiment=_EXPERIMENT, data=rows.output, baseline=old.output, candidate=new.output)
    with dsl.If(tried.outputs["verdict"] == "PROMOTE", name="it is better"):
        pack(model=new.output, to=image)
        score(model=new.output, data=rows.output, arguments="--target=target")


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, sys.argv[1])
