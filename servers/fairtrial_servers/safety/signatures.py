"""Who made a model: OpenSSF model signatures, checked before anything of the model is read.

A signature lists every file of the model with its digest. It is `model.sig` in the model's folder, or
beside a model that is a file `<name>.sig` or `model.sig`.

Parameters of the graph node: `signature_public_key` (an elliptic curve key) or `signature_certificates` (the
chain up to a root that is trusted, in one PEM), each as PEM text or as a path; `signature_file` where it is
called otherwise.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import io
import json
import re
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from fairtrial_servers.errors import ServerError, UnsafeModelError

PUBLIC_KEY = "signature_public_key"
CERTIFICATES = "signature_certificates"
FILE = "signature_file"
SIGNATURE_NAME = "model.sig"

_PEM = "-----BEGIN "
_SHARD = re.compile(r":\d+:\d+$")
#: A signature names every file of the model; more than this is no list of files.
_LARGEST = 64 * 1024 * 1024


def check_signature(model: Path, parameters: Mapping[str, str]) -> None:
    """Verify the model where the parameters ask for it; without them nothing is checked.

    Raises UnsafeModelError for a signature that is missing, not of this key, or not of the model as it is
    now; ServerError for a key that cannot be read, or where model-signing is not installed.
    """
    keys = [name for name in (PUBLIC_KEY, CERTIFICATES) if name in parameters]
    if not keys:
        if FILE in parameters:
            raise ServerError(f"the parameter {FILE} needs {PUBLIC_KEY} or {CERTIFICATES} beside it")
        return
    if len(keys) == 2:
        raise ServerError(f"the parameters {PUBLIC_KEY} and {CERTIFICATES} exclude each other: say one")
    signature = _find(model, parameters.get(FILE, ""))
    with _as_file(keys[0], parameters[keys[0]]) as key:
        _verify(model, signature, keys[0], key)
    if model.is_dir():
        _check_coverage(model, signature)


def sign(model: Path, private_key: Path, signature: Path | None = None) -> Path:
    """Sign with an elliptic curve key without a password; the signature's path. Raises ServerError."""
    config, hashing = _library().signing.Config(), _library().hashing
    target = signature or (model / SIGNATURE_NAME if model.is_dir() else model.with_name(f"{model.name}.sig"))
    try:
        config.use_elliptic_key_signer(private_key=private_key)
        config.set_hashing_config(hashing.Config().set_ignored_paths(paths=[SIGNATURE_NAME]))
        config.sign(model, target)
    except (OSError, ValueError, TypeError) as error:
        raise ServerError(f"cannot sign {model} with {private_key}: {_reason(error)}") from None
    return target


def _find(model: Path, named: str) -> Path:
    """The signature's file. Raises UnsafeModelError where there is none."""
    if named:
        looked = [(model if model.is_dir() else model.parent) / named]
    elif model.is_dir():
        looked = [model / SIGNATURE_NAME]
    else:
        looked = [model.with_name(f"{model.name}.sig"), model.with_name(SIGNATURE_NAME)]
    for path in looked:
        if path.is_file():
            return path
    raise UnsafeModelError(f"{model} is not signed: there is no {' and no '.join(map(str, looked))}")


@contextlib.contextmanager
def _as_file(name: str, said: str) -> Generator[Path]:
    """The key as a file: PEM text is written to one."""
    if _PEM in said:
        with tempfile.NamedTemporaryFile("w", suffix=".pem", encoding="utf-8") as file:
            file.write(said)
            file.flush()
            yield Path(file.name)
        return
    path = Path(said)
    try:
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or "it is neither PEM text nor a path"
        raise ServerError(f"the parameter {name}: cannot read {said[:200]}: {reason}") from None
    yield path


def _verify(model: Path, signature: Path, kind: str, key: Path) -> None:
    config = _library().verifying.Config()
    what = "public key" if kind == PUBLIC_KEY else "certificates"
    try:
        if kind == PUBLIC_KEY:
            config.use_elliptic_key_verifier(public_key=key)
        else:
            config.use_certificate_verifier(certificate_chain=[key])
    except Exception as error:  # noqa: BLE001 (the library lists none)
        raise ServerError(
            f"the {what} that models are to be signed by cannot be read: {_reason(error)}"
        ) from None
    if signature.stat().st_size > _LARGEST:
        raise UnsafeModelError(f"{signature} is no signature: it is too large for one")
    try:
        # The library prints its warnings, and stdout is where the server says that it is ready.
        with contextlib.redirect_stdout(io.StringIO()):
            config.verify(model, signature)
    except Exception as error:  # noqa: BLE001
        # Whatever goes wrong, the model is not verified.
        raise UnsafeModelError(f"{model} is not as it was signed: {_words(error, what)}") from None


def _check_coverage(model: Path, signature: Path) -> None:
    """Raise UnsafeModelError for files that the signature itself leaves out, but for itself and Git's."""
    envelope = json.loads(signature.read_bytes())["dsseEnvelope"]
    statement: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    named = {str(each["name"]) for each in statement.get("predicate", {}).get("resources", [])}
    covered = named | {_SHARD.sub("", name) for name in named}
    for path in sorted(model.rglob("*")):
        name = path.relative_to(model).as_posix()
        if (
            path.is_dir()
            or path == signature
            or name.startswith((".git/", ".github/", ".gitignore", ".gitattr"))
        ):
            continue
        if name not in covered:
            raise UnsafeModelError(
                f"{model} is not as it was signed: {name} is not covered by {signature.name}"
            )


def _words(error: Exception, what: str) -> str:
    """The library's finding, in a sentence."""
    kind = type(error).__name__
    said = str(error)
    if kind == "InvalidSignature" or "Key mismatch" in said:
        return f"the signature is not of the {what} that it must be signed by"
    if said.startswith("Signature mismatch: "):
        return said.removeprefix("Signature mismatch: ").strip("[]'\"").replace("', '", "; ")[:400]
    if "certificate" in said.lower():
        return f"the certificate of the signature is not trusted: {_reason(error)}"
    if isinstance(error, (KeyError, json.JSONDecodeError, UnicodeDecodeError)):
        return "the signature is damaged, or no signature"
    return f"the signature cannot be verified: {_reason(error)}"


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]


def _library() -> Any:
    try:
        return importlib.import_module("model_signing")
    except ModuleNotFoundError as error:
        raise ServerError(
            f"signatures are verified by {error.name}, which is not installed: "
            f'pip install "fairtrial-servers[signing]"'
        ) from error


def read_key(path: Path) -> str:
    """The PEM text of a public key or of certificates. Raises ServerError for a private key."""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "") or "it is no PEM text"
        raise ServerError(f"cannot read {path}: {reason}") from None
    if "PRIVATE KEY" in text:
        raise ServerError(f"{path} holds a private key: name the public one, for this text is handed on")
    if _PEM not in text:
        raise ServerError(f"{path} holds no key: expected PEM text, which begins with {_PEM.strip()}")
    return text
