"""The documents of a synthetic run."""

EXPERIMENT = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata:
  name: digits
spec:
  baseline:   {{name: {baseline}, modelUri: models/v1}}
  candidates:
    - {{name: {candidate}, modelUri: models/v2}}
  strategy:
    canary: {{steps: [{{setWeight: 10}}, {{setWeight: 50}}]}}
  traffic:
    loadTest: {{arrivalRate: 150/s, maxDuration: 2m, requests: {{data: holdout.parquet, target: digit}}}}
  metrics:
    - {{name: accuracy, role: objective, direction: increase, minEffect: 1pp}}
    - {{name: latency, quantile: 0.99, role: guardrail, maxRegression: 10%}}
    - {{name: errorRate, role: guardrail, maxRegression: 0.5pp}}
"""

MANIFEST = """\
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata:
  name: digits
spec:
  protocol: v2
  predictors:
    - {name: v1, replicas: 1, traffic: 90, graph: {name: digits-v1, implementation: SKLEARN_SERVER}}
    - {name: v2, replicas: 1, traffic: 10, graph: {name: digits-v2, implementation: SKLEARN_SERVER}}
"""

# Decided by a few hundred rows within seconds, so that a run is short enough to be killed many times.
QUICK = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: quick}
spec:
  baseline: {name: v1, modelUri: models/v1}
  candidates: [{name: v2, modelUri: models/v2}]
  strategy:
    canary: {steps: [{setWeight: 10, minRequests: 20}, {setWeight: 50}]}
  traffic:
    loadTest: {arrivalRate: 150/s, maxDuration: 20s}
  metrics:
    - {name: accuracy, minEffect: 8pp}
  analysis: {lookInterval: 500ms}
"""
