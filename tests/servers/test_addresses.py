"""Addresses: which are understood, what is said of the rest, and that no credentials are ever shown."""

from __future__ import annotations

import pytest
from fairtrial_servers.addresses import (
    EXAMPLES,
    credentials_in,
    model_name,
    shown,
    without_secrets,
    wrong_with,
)

SECRETS = {
    "https://ann:pa55-word@host/m.onnx": "pa55-word",
    "https://t0ken-word@host/m.onnx": "t0ken-word",
    "https://account.blob.core.windows.net/c/m.onnx?sv=2024&sp=r&sig=s1g%2Fnature%3D": "s1g",
    "https://bucket.s3.amazonaws.com/m?X-Amz-Credential=AKIA1&X-Amz-Signature=abcdef012345": "abcdef012345",
    "https://host/m.onnx?access_token=t0ken-word": "t0ken-word",
    "https://host/m.onnx?api_key=t0ken-word": "t0ken-word",
    "sql+postgresql+psycopg://ann:pa55-word@host/db?key=wine": "pa55-word",
    "sql+mssql+pyodbc://ann:pa55%2Dword@host/db?key=wine&driver=ODBC+Driver+18": "pa55",
    "abfs://container:pa55-word@account.dfs.core.windows.net/m": "pa55-word",
}


@pytest.mark.parametrize("uri", EXAMPLES.values())
def test_every_example_is_an_address_and_lets_nobody_in(uri):
    assert wrong_with(uri) is None
    assert not credentials_in(uri)
    assert shown(uri) == uri.replace("user@", "")


@pytest.mark.parametrize(("uri", "secret"), SECRETS.items())
def test_credentials_are_seen_and_not_shown(uri, secret):
    assert credentials_in(uri)
    assert secret not in shown(uri)
    told = without_secrets(f"cannot open {uri}, nor with {uri.partition('://')[2]}", uri)
    assert secret not in told
    assert "***" in told


@pytest.mark.parametrize("uri", ["https://host/m?id=7", "s3://b/m?versionId=1", "https://host/m?monkey=1"])
def test_what_merely_says_which_model_is_no_secret(uri):
    assert not credentials_in(uri)


def test_secrets_of_the_environment_are_taken_out_of_messages(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very/secret+key")
    assert without_secrets("signed with very/secret+key\nTraceback") == "signed with ***"


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("s4://b/m", 'did you mean "s3://"?'),
        ("htpp://h/m", 'did you mean "http://"?'),
        ("model:/wine@champion", 'did you mean "models:/"?'),
        ("s3a://b/m", 'did you mean "s3://"?'),
        ("gcs://b/m", 'did you mean "gs://"?'),
        ("postgresql://h/db", "a model in a database is sql+"),
        ("gopher://h/m", "known are file://, http://"),
        ("file:models/v1", "three slashes"),
        ("s3://bucket", "an address such as s3://bucket/models/wine"),
        ("http:///m", "an address such as http://"),
        ("http://h:port/m", "one that cannot be read"),
        ("models:/wine", "models:/name@alias or models:/name/version"),
        ("models://wine@champion", "models:/name@alias"),
        ("runs:/abc", "runs:/id/path"),
        ("sql+sqlite:///m.db", "the model's key in the query"),
        (" ", "got nothing"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(uri, words):
    assert words in (wrong_with(uri) or "")


@pytest.mark.parametrize("uri", ["models/v1", "C:\\models\\v1", "/srv/a b", "a:b"])
def test_paths_are_paths(uri):
    assert wrong_with(uri) is None


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("models/wine-1.2.joblib", "wine-1.2"),
        ("https://host/a/wine.tar.gz?sig=x", "wine"),
        ("s3://bucket/models/wine/", "wine"),
        ("models:/wine@champion", "wine"),
        ("models:/wine/3", "wine"),
        ("sql+sqlite:///m.db?key=wine", "wine"),
        ("https://host/wine.onnx#sha256=" + "0" * 64, "wine"),
    ],
)
def test_a_model_is_called_by_the_end_of_its_address(uri, name):
    assert model_name(uri) == name
