"""A model package group of SageMaker, on moto's server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from fairtrial.errors import NotReadyError, UsageError
from fairtrial.registry.sagemaker import SageMakerRegistry
from fairtrial_servers.store import fetch
from moto.sagemaker.models import SageMakerModelBackend, sagemaker_backends
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """Its URL. Mended where AWS does otherwise: a tag is replaced; what an update does not name stays."""
    add_tags, update = SageMakerModelBackend.add_tags, SageMakerModelBackend.update_model_package

    def replacing(backend: SageMakerModelBackend, arn: str, tags: list[dict[str, str]]) -> Any:
        backend.delete_tags(arn, [tag["Key"] for tag in tags])
        return add_tags(backend, arn, tags)

    def partial(backend: SageMakerModelBackend, model_package_arn: str, **said: Any) -> str:
        package = backend.model_packages[model_package_arn]
        for name in ("model_approval_status", "approval_description", "customer_metadata_properties"):
            said[name] = getattr(package, name) if said[name] is None else said[name]
        return update(backend, model_package_arn, **said)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SageMakerModelBackend, "add_tags", replacing)
        patched.setattr(SageMakerModelBackend, "update_model_package", partial)
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        try:
            yield "http://{}:{}".format(*server.get_host_and_port())
        finally:
            server.stop()


@pytest.fixture(autouse=True)
def _environment(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("FAIRTRIAL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bucket() -> Iterator[Any]:
    made = boto3.resource("s3").Bucket("models")
    made.create(CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield made
    made.objects.delete()
    made.delete()


@pytest.fixture
def group(request: pytest.FixtureRequest) -> str:
    """Named after the test, and not there yet. In capitals too, which addresses have not."""
    return request.node.originalname.replace("_", "-").removeprefix("test-")[:50].strip("-").capitalize()


@pytest.fixture
def registry(group: str, bucket: Any) -> SageMakerRegistry:
    return SageMakerRegistry(
        group, "champion", region=None, artifacts=f"s3://{bucket.name}/promoted", image=None
    )


@pytest.fixture
def promoted(registry: SageMakerRegistry, tmp_path: Path) -> Callable[[str], str]:
    model = tmp_path / "wine" / "model.joblib"
    model.parent.mkdir()
    model.write_bytes(b"not loaded by a registry")
    return lambda run: registry.promote(model.parent, run=run, tags={"fairtrial.verdict": "PROMOTE"}).version


@pytest.fixture
def approved(group: str) -> Callable[[], list[int]]:
    """The versions that those who deploy on SageMaker would take."""

    def ask() -> list[int]:
        listed = boto3.client("sagemaker").list_model_packages(
            ModelPackageGroupName=group, ModelApprovalStatus="Approved"
        )
        return [each["ModelPackageVersion"] for each in listed["ModelPackageSummaryList"]]

    return ask


def test_a_group_that_is_not_there_yet_has_no_versions_and_no_champion(registry: SageMakerRegistry):
    registry.check()
    assert registry.versions() == []
    assert registry.holder("champion") is None
    registry.drop("champion")


def test_a_promotion_makes_one_package_for_a_run_which_the_store_can_fetch(
    registry: SageMakerRegistry, promoted: Callable[[str], str], tmp_path: Path
):
    assert promoted("run-1") == "1"
    assert promoted("run-1") == "1"
    (version,) = registry.versions()
    assert version.tags == {"fairtrial.run": "run-1", "fairtrial.verdict": "PROMOTE"}
    assert version.uri.startswith("s3://models/promoted/")
    assert version.created > 1.7e9
    fetched = fetch(version.uri, tmp_path)
    assert (fetched.name, fetched.read_bytes()) == ("model.joblib", b"not loaded by a registry")
    assert registry.holder("champion") == version == registry.version("1")


def test_the_alias_moves_and_the_approval_with_it(
    registry: SageMakerRegistry, promoted: Callable[[str], str], approved: Callable[[], list[int]]
):
    promoted("run-1")
    assert approved() == [1]
    promoted("run-2")
    assert approved() == [2]
    assert registry.move("champion", "1") == "2"
    assert registry.move("champion", "1") is None
    assert approved() == [1]
    assert registry.move("challenger", "2") is None
    assert approved() == [1]  # a challenger is approved by nobody
    holder = registry.holder("challenger")
    assert holder is not None
    assert holder.version == "2"
    assert [version.version for version in registry.versions()] == ["2", "1"]
    registry.drop("champion")
    registry.drop("champion")
    assert (registry.holder("champion"), approved()) == (None, [])


@pytest.mark.parametrize("made", [0, 1], ids=["before any approval", "before one is taken back"])
def test_a_move_that_was_killed_half_way_is_brought_to_its_end(
    registry: SageMakerRegistry,
    promoted: Callable[[str], str],
    approved: Callable[[], list[int]],
    made: int,
    monkeypatch: pytest.MonkeyPatch,
):
    for run in ("run-1", "run-2"):
        promoted(run)
    update, calls = registry._sagemaker.update_model_package, []

    def killed(**said: Any) -> Any:
        calls.append(said)
        if len(calls) > made:
            raise KeyboardInterrupt
        return update(**said)

    with monkeypatch.context() as patched:
        patched.setattr(registry._sagemaker, "update_model_package", killed)
        with pytest.raises(KeyboardInterrupt):
            registry.move("champion", "1")
    assert approved() != [1]
    assert registry.move("champion", "1") is None
    assert approved() == [1]


def test_what_a_person_has_approved_stays(
    registry: SageMakerRegistry, promoted: Callable[[str], str], approved: Callable[[], list[int]], group: str
):
    for run in ("run-1", "run-2", "run-3"):
        promoted(run)
    client = boto3.client("sagemaker")
    arn = client.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"][0][
        "ModelPackageArn"
    ]
    client.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="tried by hand"
    )
    registry.move("champion", "2")
    assert sorted(approved()) == [1, 2]


def test_two_at_once_leave_one_champion(
    registry: SageMakerRegistry, promoted: Callable[[str], str], approved: Callable[[], list[int]], group: str
):
    for run in ("run-1", "run-2", "run-3"):
        promoted(run)
    others = [SageMakerRegistry(group, "champion", region=None, artifacts=None, image=None) for _ in "12"]
    threads = [
        threading.Thread(target=each.move, args=("champion", version))
        for each, version in zip(others, "12", strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    holder = registry.holder("champion")
    assert holder is not None
    assert holder.version in "12"
    registry.move("champion", holder.version)
    assert approved() == [int(holder.version)]


def test_tags_are_written_as_sagemaker_takes_them(
    registry: SageMakerRegistry, promoted: Callable[[str], str], approved: Callable[[], list[int]]
):
    version = promoted("run-1")
    for verdict in ("ROLLBACK", "PROMOTE"):
        registry.tag(
            version, {"fairtrial.verdict": verdict, "why": "5% better,\nsaid the judge " + "x" * 999}
        )
    tags = registry.version(version).tags
    assert tags["fairtrial.verdict"] == "PROMOTE"
    assert tags["fairtrial.run"] == "run-1"
    assert tags["why"].startswith("5. better. said the judge xxx")
    assert len(tags["why"]) == 256
    assert approved() == [1]


def test_a_report_stands_beside_the_model_and_is_no_part_of_it(
    registry: SageMakerRegistry, promoted: Callable[[str], str], bucket: Any, tmp_path: Path
):
    version = promoted("run-1")
    files = [tmp_path / "verdict.json", tmp_path / "report.html"]
    for text in ("a first attempt", "the last one"):
        for file in files:
            file.write_text(text)
        where = registry.attach(version, files, run="trial-7")
    assert where == f"{registry.version(version).uri}.fairtrial/trial-7"
    key = where.removeprefix("s3://models/") + "/"
    found = {each.key: each.get()["Body"].read() for each in bucket.objects.filter(Prefix=key)}
    assert found == {f"{key}report.html": b"the last one", f"{key}verdict.json": b"the last one"}


def test_a_package_made_by_others_is_a_version_too(registry: SageMakerRegistry, group: str):
    client = boto3.client("sagemaker")
    client.create_model_package_group(ModelPackageGroupName=group)
    source = {
        "S3DataSource": {"S3Uri": "s3://theirs/wine/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    }
    for containers in ([{"ModelDataSource": source}], [{"Image": "theirs"}]):
        client.create_model_package(
            ModelPackageGroupName=group, InferenceSpecification={"Containers": containers}
        )
    assert [version.uri for version in registry.versions()] == ["", "s3://theirs/wine/"]
    with pytest.raises(UsageError, match="its model is at no address"):
        registry.attach("2", [Path("report.html")], run="trial")


@pytest.mark.parametrize("version", ["9", "none", ""])
def test_a_version_that_is_not_there_is_said(
    registry: SageMakerRegistry, promoted: Callable[[str], str], version: str, group: str
):
    promoted("run-1")
    for ask in (
        lambda: registry.version(version),
        lambda: registry.move("champion", version),
        lambda: registry.tag(version, {"a": "b"}),
        lambda: registry.attach(version, [], run="trial"),
    ):
        with pytest.raises(NotReadyError) as told:
            ask()
        where = "SageMaker's model registry in eu-central-1"
        assert str(told.value) == f"there is no version {version} of {group} in {where}"
    holder = registry.holder("champion")
    assert holder is not None
    assert holder.version == "1"


def test_a_version_that_was_removed_has_its_alias_no_more(
    registry: SageMakerRegistry, promoted: Callable[[str], str], group: str
):
    for run in ("run-1", "run-2"):
        promoted(run)
    packages = sagemaker_backends["123456789012"]["eu-central-1"].model_packages
    (gone,) = [arn for arn in packages if arn.endswith(f"/{group.lower()}/2")]
    del packages[gone]
    assert registry.holder("champion") is None
    assert registry.move("champion", "1") == "2"


def test_a_promotion_needs_a_place_for_the_files(group: str, tmp_path: Path):
    registry = SageMakerRegistry(group, "champion", region=None, artifacts=None, image=None)
    with pytest.raises(UsageError, match=r"sageMaker\.artifacts, as in s3://bucket/models"):
        registry.promote(tmp_path, run="run-1", tags={})
    assert registry.versions() == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "Could not connect to the endpoint URL"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "Unable to locate credentials"),
        ({"AWS_DEFAULT_REGION": None}, "You must specify a region"),
        ({"AWS_PROFILE": "nobody"}, "The config profile (nobody) could not be found"),
    ],
    ids=["away", "nobody", "nowhere", "no profile"],
)
def test_what_is_wrong_is_told_in_words(
    wrong: dict[str, str | None], told: str, group: str, monkeypatch: pytest.MonkeyPatch
):
    for name, value in wrong.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    registry = SageMakerRegistry(group, "champion", region=None, artifacts=None, image=None)
    with pytest.raises(NotReadyError) as error:
        registry.check()
    assert told in str(error.value)
    assert "very-secret" not in str(error.value)
    assert "docs/registries.md" in str(error.value)


def test_a_refusal_is_told_in_the_words_of_aws(
    registry: SageMakerRegistry, promoted: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
):
    """As IAM says it; moto lets everybody do everything."""
    from botocore.exceptions import ClientError

    promoted("run-1")
    told = "User me is not authorized to perform: sagemaker:AddTags"

    def refused(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": told}}, "AddTags")

    monkeypatch.setattr(registry._sagemaker, "add_tags", refused)
    with pytest.raises(NotReadyError, match="is not authorized to perform: sagemaker:AddTags; see"):
        registry.move("challenger", "1")
