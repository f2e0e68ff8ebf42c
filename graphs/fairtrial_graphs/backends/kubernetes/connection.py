"""Which cluster, and as whom: a kubeconfig's context, or the pod's own service account."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fairtrial_graphs.backends.interface import NotReady

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def connect(kubeconfig: Path | None = None, context: str | None = None) -> tuple[ApiClient, str]:
    """A client, and the namespace that is meant where none is said.

    Without arguments: the kubeconfig that KUBECONFIG names or that of the home folder; inside a pod that has
    none, the pod's service account. Raises NotReady in a sentence.
    """
    try:
        import urllib3
        from kubernetes import config
        from kubernetes.client import ApiClient, Configuration
    except ImportError as error:
        raise NotReady(
            "the Kubernetes backend needs an extra: pip install 'fairtrial[kubernetes]'"
        ) from error

    inside = "KUBERNETES_SERVICE_HOST" in os.environ and kubeconfig is None and context is None
    if inside and not os.environ.get("KUBECONFIG") and not Path("~/.kube/config").expanduser().is_file():
        configuration = Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
            return ApiClient(configuration), _NAMESPACE.read_text(encoding="utf-8").strip()
        except (config.ConfigException, OSError) as error:
            raise NotReady(
                f"this pod's ServiceAccount cannot be used: {str(error).rstrip('.')}; give the pod one "
                "(automountServiceAccountToken), or name a kubeconfig with --kubeconfig or KUBECONFIG"
            ) from error
    file = str(kubeconfig) if kubeconfig is not None else None
    try:
        # The client's types say less than it returns: a list of contexts, and the current one.
        contexts, current = cast("tuple[list[Any], Any]", config.list_kube_config_contexts(config_file=file))
        chosen = next((each for each in contexts if each["name"] == context), None) if context else current
        if chosen is None:
            known = ", ".join(str(each["name"]) for each in contexts) or "none"
            raise NotReady(f"the kubeconfig has no context called {context}; it has {known}")
        client = config.new_client_from_config(config_file=file, context=context, persist_config=False)
    except (config.ConfigException, OSError, KeyError, TypeError, ValueError) as error:
        where = file or os.environ.get("KUBECONFIG") or "~/.kube/config"
        raise NotReady(
            f"no cluster can be found in {where}: {error}; name a kubeconfig with --kubeconfig or KUBECONFIG"
        ) from error
    if not client.configuration.verify_ssl:
        # The kubeconfig says that nobody looks at certificates: to be told so at each request helps nobody.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return client, str((chosen.get("context") or {}).get("namespace") or "default")
