"""The plain CronJob is taken by a real API server, and its pods where standards are strictest."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cluster.client import Client

pytestmark = pytest.mark.heavy

_MANIFEST = Path(__file__).parents[2] / "integrations" / "cronjob" / "cronjob.yaml"


def test_everything_is_taken_and_its_pods_too_where_standards_are_strictest(api: Client, namespace: str):
    strictest = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    api.patch("v1", "Namespace", namespace, strictest)
    objects = list(yaml.safe_load_all(_MANIFEST.read_text()))
    for each in objects:
        api.apply(each, namespace=namespace)
    (cron,) = (each for each in objects if each["kind"] == "CronJob")
    template = cron["spec"]["jobTemplate"]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "of-it"}, "spec": template["spec"]}
    api.create(pod, namespace=namespace, dry_run=True)
