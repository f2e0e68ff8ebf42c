"""Arms that run already: what may be said of them, and how they get to be in an experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from fairtrial_graphs.backends.address import Address

from fairtrial.errors import UsageError
from fairtrial.experiment.arms import Arm, Baseline, Candidate
from fairtrial.experiment.base import Mistake
from fairtrial.experiment.strategy import AbTest, Strategy
from fairtrial.experiment.traffic import Traffic

if TYPE_CHECKING:
    from fairtrial.experiment.model import Experiment


def mistakes_of_address(arm: Arm) -> Iterator[Mistake]:
    """What cannot be said of an arm with a url, by its path below the arm."""
    if arm.model_uri is not None:
        yield ("url",), "modelUri has the arm deployed; say one of the two"
    for field, value in arm.model_dump(exclude={"name", "url", "modelUri", "model_uri"}).items():
        if value:
            yield (field,), "whoever runs the arm at its url has set this; remove it"


def mistakes_elsewhere(traffic: Traffic) -> Iterator[Mistake]:
    """What traffic cannot be sent to arms at addresses of their own, by its path below the traffic."""
    if traffic.live is not None:
        yield ("live",), "arms at a url are sent a load test; users' own requests pass elsewhere"
    elif not traffic.paired:
        yield ("loadTest", "paired"), "between arms at a url nothing is split: only replayed pairs reach both"


def at_addresses(experiment: Experiment, addresses: Mapping[str, str]) -> Experiment:
    """The experiment with its arms where they run already. Raises UsageError."""
    if not addresses:
        return experiment
    spec = experiment.spec
    names = [arm.name for arm in (spec.baseline, *spec.candidates)]
    for name, url in addresses.items():
        if name not in names:
            raise UsageError(f"--against {name}={url}: no arm is called {name}; there are {', '.join(names)}")
        try:
            Address.read(url)
        except ValueError as error:
            raise UsageError(f"--against {name}: {error}") from error
    said = {arm.name: arm.url for arm in (spec.baseline, *spec.candidates) if arm.url} | dict(addresses)
    if lacking := [name for name in names if name not in said]:
        raise UsageError(
            f"--against {next(iter(addresses))}=...: say the address of {' and '.join(lacking)}, too: "
            f"an arm that is deployed here cannot be compared with one that runs elsewhere"
        )
    for wrong in mistakes_elsewhere(spec.traffic):
        raise UsageError(f"--against: traffic.{'.'.join(map(str, wrong[0]))}: {wrong[1]}")
    changed = spec.model_copy(
        update={
            "deployment": None,
            "baseline": Baseline(name=spec.baseline.name, url=said[spec.baseline.name]),
            "candidates": tuple(Candidate(name=each.name, url=said[each.name]) for each in spec.candidates),
        }
    )
    return experiment.model_copy(update={"spec": changed})


def directly(experiment: Experiment) -> Experiment:
    """The experiment as it is carried out where nothing is split: every arrival is a pair.

    Of the strategy nothing is left, and of the promotion neither if somebody else runs what serves users.
    """
    spec = experiment.spec
    load = spec.traffic.driven.model_copy(update={"split_share": 0.0})
    changed = spec.model_copy(
        update={
            "strategy": Strategy(ab_test=AbTest()),
            "traffic": spec.traffic.model_copy(update={"load_test": load}),
            "promotion": None if spec.elsewhere else spec.promotion,
        }
    )
    return experiment.model_copy(update={"spec": changed})
