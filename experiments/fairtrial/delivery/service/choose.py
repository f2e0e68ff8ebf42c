"""The place that a pipeline file names."""

from __future__ import annotations

from pathlib import Path

from fairtrial.controller.placing import Cluster
from fairtrial.delivery.pipeline.model import Pipeline
from fairtrial.delivery.service.interface import Service
from fairtrial.delivery.service.kubernetes import KubernetesService
from fairtrial.delivery.service.local import LocalService
from fairtrial.planning.models import Fetching


def service_of(pipeline: Pipeline, folder: Path, fetching: Fetching) -> Service:
    """folder: the pipeline's own, for what runs on this machine."""
    template = pipeline.folder / pipeline.spec.experiment
    said = pipeline.spec.serve.kubernetes
    if said is None:
        local = pipeline.spec.serve.local
        return LocalService(template, folder / "service", local.port if local else None, fetching)
    cluster = Cluster(
        kubeconfig=said.kubeconfig,
        context=said.context,
        namespace=said.namespace,
        route=said.route,
        gateway=said.gateway,
        gateway_url=said.gateway_url,
        service_url=said.service_url,
        holder=(holder := f"pipeline-{pipeline.name}"),  # of its trials, too: one takes up what another left
        ready_timeout=said.ready_timeout,
    )
    return KubernetesService(template, cluster, holder, fetching)
