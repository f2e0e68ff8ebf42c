"""Components of Kubeflow Pipelines that call the `fairtrial` command of its image. Docs: docs/ci.md."""

from fairtrial_kubeflow.components import IMAGE, pack, score, trial

__all__ = ["IMAGE", "pack", "score", "trial"]
