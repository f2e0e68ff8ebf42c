"""Signed models: a real key and real certificates are made here, models signed, and then changed."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fairtrial_servers.errors import ServerError, UnsafeModelError
from fairtrial_servers.safety.signatures import (
    CERTIFICATES,
    FILE,
    PUBLIC_KEY,
    check_signature,
    read_key,
    sign,
)

model_signing = pytest.importorskip("model_signing", reason="needs model-signing: uv sync --group signing")

pytestmark = pytest.mark.heavy


def _pair(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: _pair(folder, name) for name in ("team", "stranger")}


@pytest.fixture
def model(tmp_path, digits_file) -> Path:
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    shutil.copy(digits_file, folder / "model.joblib")
    (folder / "code" / "README").write_text("what it is")
    return folder


@pytest.fixture
def signed(model, keys) -> Path:
    sign(model, keys["team"][0])
    return model


def check(model: Path, public: Path, **more: str) -> None:
    check_signature(model, {PUBLIC_KEY: public.read_text(), **more})


def test_a_signed_folder_passes_by_the_keys_text_and_by_its_path(signed, keys):
    check(signed, keys["team"][1])
    check_signature(signed, {PUBLIC_KEY: str(keys["team"][1])})


def _by_the_command(how: str, model: Path, *options: str | Path) -> None:
    """Sign with model-signing's own command, as the documentation says."""
    subprocess.run(
        [sys.executable, "-m", "model_signing", "sign", how, str(model), *map(str, options),
         "--signature", str(model / "model.sig")],
        check=True, capture_output=True,
    )  # fmt: skip


def test_a_signature_by_model_signings_own_command_passes(model, keys):
    _by_the_command("key", model, "--private_key", keys["team"][0])
    check(model, keys["team"][1])


def test_a_signed_file_passes_whatever_its_folder_holds_besides(tmp_path, digits_file, keys):
    model = tmp_path / "digits.joblib"
    shutil.copy(digits_file, model)
    assert sign(model, keys["team"][0]) == tmp_path / "digits.joblib.sig"
    (tmp_path / "other").write_text("x")
    check(model, keys["team"][1])
    model.write_bytes(model.read_bytes() + b"x")
    with pytest.raises(UnsafeModelError, match="is not as it was signed"):
        check(model, keys["team"][1])


def _add(model: Path) -> None:
    (model / "code" / "more.py").write_text("import os")


def _add_hidden(model: Path) -> None:
    (model / ".hidden").write_text("x")


def _change(model: Path) -> None:
    (model / "code" / "README").write_text("something else")


def _remove(model: Path) -> None:
    (model / "code" / "README").unlink()


def _rename(model: Path) -> None:
    (model / "code" / "README").rename(model / "code" / "READ")


def _link(model: Path) -> None:
    (model / "code" / "link").symlink_to("README")


@pytest.mark.parametrize("how", [_add, _add_hidden, _change, _remove, _rename, _link])
def test_what_was_changed_after_signing_is_refused(signed, keys, how):
    how(signed)
    with pytest.raises(UnsafeModelError, match=r"is not as it was signed: .+") as refused:
        check(signed, keys["team"][1])
    assert "\n" not in str(refused.value)


def test_a_file_that_the_signer_left_out_is_refused(model, keys):
    hashing = model_signing.hashing.Config().set_ignored_paths(paths=["code", "model.sig"])
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=keys["team"][0])
    config.set_hashing_config(hashing).sign(model, model / "model.sig")
    with pytest.raises(UnsafeModelError, match=r"code/README is not covered by model\.sig"):
        check(model, keys["team"][1])


def test_another_key_is_refused(signed, keys):
    with pytest.raises(UnsafeModelError, match="not of the public key"):
        check(signed, keys["stranger"][1])


def test_a_model_without_a_signature_is_refused(model, keys):
    with pytest.raises(UnsafeModelError, match=r"is not signed: there is no .*model\.sig"):
        check(model, keys["team"][1])
    with pytest.raises(UnsafeModelError, match=r"is not signed: there is no .*other\.sig"):
        check(model, keys["team"][1], **{FILE: "other.sig"})


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"verificationMaterial": {}}', "[1]", "null"])
def test_a_damaged_signature_is_refused(signed, keys, content):
    (signed / "model.sig").write_text(content)
    with pytest.raises(UnsafeModelError, match="is not as it was signed") as refused:
        check(signed, keys["team"][1])
    assert "\n" not in str(refused.value)


def test_a_signature_whose_list_was_edited_is_refused(signed, keys):
    file = signed / "model.sig"
    text = file.read_text()
    at = text.index('"payload": "') + 40 if '"payload": "' in text else text.index('"payload":"') + 40
    file.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
    with pytest.raises(UnsafeModelError, match="is not as it was signed"):
        check(signed, keys["team"][1])


@pytest.mark.parametrize(
    "said", ["/nowhere/key.pub", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"]
)
def test_a_key_that_cannot_be_read_is_a_mistake_and_not_an_unsafe_model(signed, said):
    with pytest.raises(ServerError) as refused:
        check_signature(signed, {PUBLIC_KEY: said})
    assert refused.value.exit_code == 2


def test_nothing_is_asked_for_nothing_is_checked(model):
    check_signature(model, {})
    with pytest.raises(ServerError, match="needs signature_public_key"):
        check_signature(model, {FILE: "model.sig"})


def test_a_private_key_is_not_handed_on(keys):
    assert "BEGIN PUBLIC KEY" in read_key(keys["team"][1])
    with pytest.raises(ServerError, match="holds a private key"):
        read_key(keys["team"][0])


def _certificates(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """A root, and a signing certificate of it: the root's file, the signer's key and certificate."""
    now = datetime.datetime.now(datetime.UTC)

    def certificate(subject, issuer, public, by, authority):
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(usage, critical=True)
        )
        if not authority:
            made = made.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
        return made.sign(by, hashes.SHA256())

    root_key = ec.generate_private_key(ec.SECP256R1())
    root = certificate(f"{name} root", f"{name} root", root_key.public_key(), root_key, True)
    private, _public = _pair(folder, f"{name}-signer")
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    leaf = certificate(f"{name} signer", f"{name} root", key.public_key(), root_key, False)
    files = folder / f"{name}-root.pem", private, folder / f"{name}-signer.pem"
    files[0].write_bytes(root.public_bytes(serialization.Encoding.PEM))
    files[2].write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    return files


def test_certificates_are_followed_to_the_root_that_is_trusted_and_to_no_other(model, tmp_path):
    root, key, certificate = _certificates(tmp_path, "ours")
    other, _, _ = _certificates(tmp_path, "theirs")
    _by_the_command(
        "certificate", model, "--private_key", key, "--signing_certificate", certificate,
        "--certificate_chain", root,
    )  # fmt: skip
    check_signature(model, {CERTIFICATES: root.read_text()})
    with pytest.raises(UnsafeModelError, match="is not trusted"):
        check_signature(model, {CERTIFICATES: other.read_text()})
    _change(model)
    with pytest.raises(UnsafeModelError, match="is not as it was signed"):
        check_signature(model, {CERTIFICATES: root.read_text()})


def test_a_server_loads_what_is_signed_and_ends_with_exit_code_4_on_what_is_not(start, signed, keys):
    parameters = {PUBLIC_KEY: keys["team"][1].read_text()}
    served = start(signed, parameters=parameters).wait_ready()
    assert served.ready["model"] == "digits"
    _add(signed)
    refused = start(signed, parameters=parameters)
    assert refused.wait_ended() == 4
    last = refused.errors().strip().splitlines()[-1]
    assert "is not as it was signed" in last
    assert "more.py" in last
    assert "Traceback" not in refused.errors()
