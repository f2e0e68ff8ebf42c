"""`--namespace` and `--context`: that a verb is about an Experiment on a cluster, not a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairtrial.cli.options import together
from fairtrial.cli.output import as_json, print_json, say
from fairtrial.errors import UsageError

if TYPE_CHECKING:
    from fairtrial.operator.asking import Asking

experiment_options = together(
    click.option("--namespace", "-n", help="Of an Experiment on a cluster; its name is the argument then."),
    click.option("--context", help="Of the kubeconfig, for an Experiment on a cluster."),
    click.option(
        "--kubeconfig", type=click.Path(path_type=Path), help="[default: KUBECONFIG, or ~/.kube/config]"
    ),
)


def is_on_cluster(namespace: str | None, context: str | None, kubeconfig: Path | None) -> bool:
    return not namespace is context is kubeconfig is None


def asking(name: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None) -> Asking:
    """Raises UsageError without a name, and as `Asking` does."""
    from fairtrial.operator.asking import Asking, Where

    if name is None:
        raise UsageError("say the name of the experiment")
    return Asking(Where(namespace, context, kubeconfig), name)


def show(asked: Asking) -> None:
    """How an experiment stands: its status, less what only a resumed run needs."""
    resource = asked.resource()
    status = {name: value for name, value in resource.status.items() if name != "journal"}
    if as_json():
        print_json({"experiment": resource.metadata["name"], "namespace": resource.key[0], **status})
        return
    verdict = status.get("verdict") or {}
    say(f"experiment  {resource.metadata['name']}")
    say(f"phase       {status.get('phase', 'Pending')}")
    say(f"verdict     {verdict.get('verdict', 'none yet')}")
    for name, value in (("step", status.get("step")), ("weights", status.get("split"))):
        if value is not None:
            say(f"{name:11} {value}")
    say(f"message     {status.get('message') or 'no operator has seen it yet'}")
    for reason in verdict.get("reasons", ()):
        say(f"  {reason}")


def tell(name: str | None, asked: str, sentence: str) -> None:
    say(sentence)
    if as_json():
        print_json({"experiment": name, "asked": asked})
