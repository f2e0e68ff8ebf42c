"""The SeldonDeployment of an experiment: made from its arms, or one that a platform team wrote."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from fairtrial_graphs.build import Arm, Autoscaling, build, with_local_uris
from fairtrial_graphs.resource import Metadata
from fairtrial_graphs.seldon.text import ManifestError, read
from fairtrial_graphs.seldon.types import DeploymentSpec, Node, Predictor, SeldonDeployment
from fairtrial_servers.errors import ServerError
from fairtrial_servers.formats import FORMATS
from fairtrial_servers.safety.signatures import CERTIFICATES, PUBLIC_KEY, read_key
from fairtrial_servers.safety.signatures import FILE as SIGNATURE_FILE

from fairtrial.errors import UsageError
from fairtrial.experiment.arms import Arm as ExperimentArm
from fairtrial.experiment.arms import Baseline, Candidate, Signature
from fairtrial.experiment.hosting import Autoscaling as ExperimentAutoscaling
from fairtrial.experiment.model import Experiment
from fairtrial.planning.models import Models


def deployment_of(
    experiment: Experiment, models: Models, names: Collection[str] | None = None
) -> SeldonDeployment:
    """Every arm, or those of these names, as a predictor; a model is fetched where nothing else says
    its format.

    Raises UsageError when a model or the manifest is not what it should be, and as `Models.at` does.
    """
    spec = experiment.spec
    if spec.deployment is not None:
        return _by_hand(experiment, spec.deployment)
    if spec.elsewhere:
        return _elsewhere(experiment)
    arms = (spec.baseline, *spec.candidates)
    return _built(experiment, models, [arm for arm in arms if names is None or arm.name in names])


def _built(experiment: Experiment, models: Models, arms: Sequence[Baseline | Candidate]) -> SeldonDeployment:
    parts = [_arm(experiment, models, arm.name, arm) for arm in arms]
    try:
        deployment = build(experiment.metadata.name, parts)
    except ValueError as error:
        raise UsageError(f"what {experiment.metadata.name} would deploy: {error}") from error
    return with_local_uris(deployment, experiment.folder.absolute())


def _elsewhere(experiment: Experiment) -> SeldonDeployment:
    """Which arms there are. It is not applied: whoever runs them has."""
    spec = experiment.spec
    names = [spec.baseline.name, *(candidate.name for candidate in spec.candidates)]
    return SeldonDeployment(
        metadata=Metadata(name=experiment.metadata.name),
        spec=DeploymentSpec(
            protocol="v2",
            predictors=[Predictor(name=name, graph=Node(name=name, type="MODEL")) for name in names],
        ),
    )


def _arm(experiment: Experiment, models: Models, name: str, arm: ExperimentArm) -> Arm:
    implementation = None if arm.image is not None else arm.implementation or _implementation(models, arm)
    parameters = {key: str(value) for key, value in arm.parameters.items()}
    if arm.signature is not None and implementation is not None:
        if not implementation.startswith(("FAIRTRIAL_", "fairtrial_servers.")):
            raise UsageError(
                f"the arm {name} has a signature, which {implementation} does not check: "
                f"leave the implementation out, or name one of Fairtrial's"
            )
        parameters |= signed_by(experiment, arm, arm.signature)
    live = experiment.spec.traffic.live
    return Arm(
        name=name,
        model_uri=arm.model_uri,
        implementation=implementation,
        image=arm.image,
        replicas=arm.replicas,
        resources=arm.resources.model_dump(exclude_defaults=True) if arm.resources else None,
        autoscaling=_autoscaling(arm.autoscaling) if arm.autoscaling else None,
        parameters=parameters,
        service_account=arm.service_account,
        env_secret=arm.env_secret,
        logger_url=live.logger_url if live is not None else None,
    )


def _autoscaling(said: ExperimentAutoscaling) -> Autoscaling:
    return Autoscaling(said.max_replicas, said.min_replicas, said.target_cpu)


def signed_by(experiment: Experiment, arm: ExperimentArm, wanted: Signature) -> dict[str, str]:
    """The parameters that have the server check the signature: the key itself, wherever the server runs."""
    try:
        found = {
            name: read_key(experiment.locate(path))
            for name, path in ((PUBLIC_KEY, wanted.public_key), (CERTIFICATES, wanted.certificates))
            if path is not None
        }
    except ServerError as error:
        raise UsageError(f"the signature of {arm.model_uri}: {error}") from error
    return {**found, **({SIGNATURE_FILE: wanted.file} if wanted.file else {})}


def _implementation(models: Models, arm: ExperimentArm) -> str:
    """The server name that a SeldonDeployment says for the model's format."""
    if arm.format is not None:
        return next(known.servers[0] for known in FORMATS if known.name == arm.format)
    assert arm.model_uri is not None, "the model demands it where nothing else says what runs"
    return models.server_of(arm.model_uri)


def _check_logged(experiment: Experiment, deployment: SeldonDeployment, file: Path) -> None:
    """Of an arm whose requests nobody logs nothing would ever be known. Raises UsageError."""
    live = experiment.spec.traffic.live
    if live is None or live.logger_url is None:
        return
    arms = {experiment.spec.baseline.name, *(candidate.name for candidate in experiment.spec.candidates)}
    for predictor in deployment.spec.predictors:
        loggers = [node.logger for _, node in predictor.graph.walk("") if node.logger is not None]
        if predictor.name in arms and not any(logger.mode == "all" for logger in loggers):
            raise UsageError(
                f"{file}: no node of {predictor.name} logs its requests; traffic.live needs "
                "`logger: {mode: all, url: ...}` in its graph, with the address of traffic.live."
                f"{'logTo' if live.log_to else 'collector'}"
            )


def _by_hand(experiment: Experiment, path: str) -> SeldonDeployment:
    file = experiment.folder / path
    try:
        deployment = read(file)
    except ManifestError as error:
        raise UsageError(str(error)) from error
    names = [predictor.name for predictor in deployment.spec.predictors]
    for arm in (experiment.spec.baseline, *experiment.spec.candidates):
        if arm.name not in names:
            raise UsageError(f"{file} has no predictor called {arm.name}; it has {', '.join(names)}")
    _check_logged(experiment, deployment, file)
    return with_local_uris(deployment, file.parent.absolute())
