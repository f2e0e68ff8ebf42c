"""The seam between an experiment and where its arms run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fairtrial_graphs.seldon.types import SeldonDeployment

#: Headers: which arm is asked for or has answered, and which split was in force.
ARM_HEADER = "x-fairtrial-arm"
REVISION_HEADER = "x-fairtrial-revision"

#: Says in words what a slow step is doing, for people who wait.
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Cookie:
    """A caller without it is given one, with a value of its own, for `ttl` seconds."""

    name: str
    ttl: int


@dataclass(frozen=True)
class Sticky:
    """Keep a caller on one arm: requests with the same value of this go the same way.

    Exactly one of the three. A request without the header or key is sent either way at random.
    """

    header: str | None = None
    cookie: Cookie | None = None
    key: str | None = None  # parameter of the query string

    def __post_init__(self) -> None:
        if sum(way is not None for way in (self.header, self.cookie, self.key)) != 1:
            raise ValueError("Sticky takes one of header, cookie and key")


@dataclass(frozen=True)
class HeaderMatch:
    """Requests with exactly this value of a header go to one predictor, whatever the weights.

    They are no part of the trial: their answers carry no revision.
    """

    header: str
    value: str
    predictor: str


@dataclass(frozen=True)
class Route:
    """What the manifest cannot say about how requests reach its predictors."""

    revision: str  # answers carry it in x-fairtrial-revision: which split was in force
    sticky: Sticky | None = None
    matches: Sequence[HeaderMatch] = ()  # the first that fits is taken
    timeout: float = 0.0  # seconds until a request is answered with 504; 0: the caller decides
    retries: int = 0  # times a request is sent again to the same arm when it could not be delivered or failed


@dataclass(frozen=True)
class ArmEndpoint:
    predictor: str
    url: str  # base URL of this predictor alone
    model: str  # V2 model name there (the graph's node name)
    grpc: str | None = None  # host:port


@dataclass(frozen=True)
class Serving:
    """What `apply` brought about."""

    url: str  # base URL of the split
    arms: Mapping[str, ArmEndpoint]  # by predictor name
    revision: str
    namespace: str | None = None  # where it is on a cluster
    #: Whether the split's paths name a model, whatever the name; otherwise it is /v2/models/infer, for
    #: Seldon's executor hands on the name in the path, and each arm has another.
    names_model: bool = True


@dataclass(frozen=True)
class Incident:
    """Something that died or would not do as told, in words a user understands."""

    predictor: str | None  # None: the proxy
    message: str
    restarted: bool = False


class NotReady(Exception):
    """A predictor or the proxy did not become ready. The message says which, why, and where its log is."""

    def __init__(self, message: str, *, predictor: str | None = None) -> None:
        super().__init__(message)
        self.predictor = predictor


class Interfered(Exception):
    """Somebody else holds what is under trial, or has changed it; the message says who and what.

    The backend leaves it as they want it.
    """


class Unsupported(Exception):
    """The manifest asks for something that this backend does not run; the message names the field."""


class ModelServer(Protocol):
    """How to start one model server: an argument vector and what to add to its environment."""

    @property
    def argv(self) -> Sequence[str]: ...

    @property
    def env(self) -> Mapping[str, str]: ...


class Launcher(Protocol):
    """Knows implementations. `graphs` does not import `servers`: the experiment hands this in.

    What it raises of an implementation that it does not know passes through `Backend.apply`.
    """

    def __call__(
        self,
        *,
        node: str,
        implementation: str,
        model_uri: str,
        http_port: int,
        grpc_port: int,
        metrics_port: int,
        parameters: Mapping[str, str],
        folder: str,
    ) -> ModelServer: ...


class Backend(Protocol):
    @property
    def outlives_run(self) -> bool:
        """Whether what was applied goes on being served after `close`."""
        ...

    def apply(self, deployment: SeldonDeployment, route: Route, progress: Progress) -> Serving:
        """Make it so: start what is missing, remove what is no longer named, set the weights.

        Idempotent. Returns once every predictor answers and the proxy has taken the new split.
        Raises NotReady, Unsupported, Interfered.
        """
        ...

    def incidents(self) -> Sequence[Incident]:
        """What went wrong since the last call; looks at what is known, never blocks. Raises Interfered."""
        ...

    def release(self) -> None:
        """What is served is nobody's trial any more. Raises NotReady when that cannot be made known."""
        ...

    def close(self) -> None:
        """End all that was started on this machine. Safe to call twice."""
        ...
