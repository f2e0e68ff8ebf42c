"""`fairtrial operator`: runs the Experiments and Pipelines of a cluster."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, Literal, cast

import click

from fairtrial.cli.output import output_option
from fairtrial.cli.signals import ending_on_signals
from fairtrial.errors import UsageError


@click.command("operator")
@click.option("--namespace", "-n", "namespaces", multiple=True, help="Repeatable.  [default: all namespaces]")
@click.option(
    "--leader-election-namespace", help="Where the lease is.  [default: the pod's, or the context's]"
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Of /healthz, /readyz and /metrics.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    help="[default: KUBECONFIG, ~/.kube/config, or the pod's service account]",
)
@click.option("--context", help="Of the kubeconfig.  [default: the current one]")
@click.option(
    "--route",
    type=click.Choice(["istio", "gateway-api", "none"]),
    default="istio",
    show_default=True,
    help="What brings requests to the arms.",
)
@click.option("--gateway", help="What the route calls the gateway, [NAMESPACE/]NAME.")
@click.option(
    "--ready-timeout",
    type=click.FloatRange(1),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Of a wait for pods.",
)
@click.option(
    "--pipelines/--no-pipelines", default=True, help="Whether Pipelines become pods.  [default: yes]"
)
@click.option(
    "--image",
    envvar="FAIRTRIAL_IMAGE",
    help="Of those pods, where a Pipeline names none.  [env: FAIRTRIAL_IMAGE]",
)
@output_option
def command(leader_election_namespace: str | None, route: str, **said: Any) -> None:
    """Run the Experiment and Pipeline resources of a cluster, until interrupted.

    Of several replicas one works, and the others wait to take over. What it needs there is in
    docs/operator.md; `fairtrial schema --crd` prints the definitions of both.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        from fairtrial.operator.feeds import feed_of
        from fairtrial.operator.serving import Options, serve
    except ImportError as error:
        raise UsageError("the operator needs an extra: pip install 'fairtrial[operator]'") from error
    named = None if route == "none" else cast("Literal['istio', 'gateway-api']", route)
    options = Options(lease_namespace=leader_election_namespace, route=named, **said)
    with ending_on_signals():
        serve(options, feed_of)
