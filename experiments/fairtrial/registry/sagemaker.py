"""SageMaker's model registry: the packages of one group, and its aliases as tags of that group.

A tag is set in one step, so that an alias has one version at any moment. The approval of packages follows
the alias that serves: whoever deploys the newest approved package deploys what has it.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from fairtrial_servers.addresses import said

from fairtrial.errors import NotReadyError, UsageError
from fairtrial.registry.buckets import Place, beside, within
from fairtrial.registry.interface import Registered, Version
from fairtrial.registry.sagemaker_values import (
    alias_key,
    description_of,
    model_uri,
    properties_of,
    token_of,
)

_RUN_TAG = "fairtrial.run"
_OURS = "fairtrial: "  # begins the description of every approval that is ours
_ANSWERS_WITHIN = 20  # seconds
_ABSENT = ("does not exist", "not found")


class SageMakerRegistry:
    """One model package group, and the alias that says which version serves."""

    def __init__(
        self, group: str, alias: str, *, region: str | None, artifacts: str | None, image: str | None
    ) -> None:
        """region: of the environment or the profile unless given. artifacts: s3://bucket/prefix, where models
        that are promoted are put. image: that a package made here is served by on SageMaker, if on any.
        """
        self._group = group
        self._alias = alias
        self._region = region
        self._artifacts = artifacts
        self._image = image
        self._known_group: str | None = None
        self._known_packages: str | None = None

    def check(self) -> None:
        """See `Registry`."""
        with self._in_words("asked for"):
            self._group_arn()

    def promote(self, artifacts: Path, *, run: str, tags: Mapping[str, str]) -> Registered:
        """See `Registry`. The model is put to S3 as model.tar.gz, as SageMaker wants it."""
        with self._in_words("given the version that won of"):
            version = self._version_of(run) or self._new_version(artifacts, run, tags)
            return Registered(self._group, version, self._alias, self._moved(self._alias, version))

    def holder(self, alias: str) -> Version | None:
        """See `Registry`."""
        with self._in_words(f"asked for the {alias} of"):
            version = self._now(alias)
            package = None if version is None else self._package(version)
            return None if package is None else self._told(package)

    def version(self, version: str) -> Version:
        """See `Registry`."""
        with self._in_words(f"asked for version {version} of"):
            return self._told(self._got(version))

    def versions(self) -> list[Version]:
        """See `Registry`. SageMaker is asked for each, as a listing has neither address nor tags."""
        with self._in_words("asked for the versions of"):
            found = [self._package(str(each["ModelPackageVersion"])) for each in self._newest_first()]
            return [self._told(package) for package in found if package is not None]

    def move(self, alias: str, version: str) -> str | None:
        """See `Registry`."""
        with self._in_words(f"told that {version} is {alias} of"):
            return self._moved(alias, version)

    def drop(self, alias: str) -> None:
        """See `Registry`."""
        with self._in_words(f"told that none is {alias} of"):
            before = self._now(alias)
            group = self._group_arn()
            if group is None:
                return
            if before is not None:
                self._sagemaker.delete_tags(ResourceArn=group, TagKeys=[alias_key(alias)])
            if alias == self._alias:
                self._approve(None, before)

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """See `Registry`. As metadata of the package, in the signs and of the length that it may have."""
        with self._in_words(f"given the tags of version {version} of"):
            package = self._got(version)
            has: dict[str, str] = package.get("CustomerMetadataProperties", {})
            wanted = has | properties_of(tags)
            if wanted != has:
                self._sagemaker.update_model_package(
                    ModelPackageArn=package["ModelPackageArn"], CustomerMetadataProperties=wanted
                )

    def attach(self, version: str, files: Sequence[Path], *, run: str) -> str:
        """See `Registry`. They stand beside the model: s3://.../model.tar.gz.fairtrial/RUN/report.html."""
        with self._in_words(f"given the report on version {version} of"):
            uri = model_uri(self._got(version))
            place = beside("s3", uri, run)
            if place is None:
                raise UsageError(
                    f"the report on version {version} of {self._group} has no place: its model is at "
                    f"{uri or 'no address'}, and a report is put beside models in S3 only"
                )
            for file in files:
                self._s3.upload_file(str(file), place.bucket, f"{place.key}/{file.name}")
            return place.uri

    @cached_property
    def _sagemaker(self) -> Any:
        return self._client("sagemaker")

    @cached_property
    def _s3(self) -> Any:
        return self._client("s3")

    def _client(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        patience = Config(
            connect_timeout=5, read_timeout=_ANSWERS_WITHIN, retries={"mode": "standard", "max_attempts": 3}
        )
        # A session of our own: boto3's is everybody's, and keeps the credentials that it found first.
        return boto3.Session(region_name=self._region).client(service, config=patience)

    def _group_arn(self) -> str | None:
        """None where there is no such group yet."""
        with _absent_is_none():
            if self._known_group is None:
                found = self._sagemaker.describe_model_package_group(ModelPackageGroupName=self._group)
                self._known_group = str(found["ModelPackageGroupArn"])
        return self._known_group

    def _package_arn(self, version: str) -> str | None:
        """None where the group has no packages yet. It is learnt from another: names may be in lower case."""
        if self._known_packages is None:
            first = next(self._newest_first(), None)
            if first is None:
                return None
            self._known_packages = str(first["ModelPackageArn"]).rpartition("/")[0]
        return f"{self._known_packages}/{version}"

    def _newest_first(self, **wanted: str) -> Iterator[dict[str, Any]]:
        """The summaries of all packages: number, description, approval."""
        pages = self._sagemaker.get_paginator("list_model_packages")
        with _absent_is_none():
            for page in pages.paginate(
                ModelPackageGroupName=self._group, SortBy="CreationTime", SortOrder="Descending", **wanted
            ):
                yield from page["ModelPackageSummaryList"]

    def _package(self, version: str) -> dict[str, Any] | None:
        """None where there is none, or none any more."""
        arn = self._package_arn(version)
        if arn is None:
            return None
        with _absent_is_none():
            return self._sagemaker.describe_model_package(ModelPackageName=arn)
        return None

    def _got(self, version: str) -> dict[str, Any]:
        package = self._package(version)
        if package is None:
            raise NotReadyError(f"there is no version {version} of {self._group} in {self._where}")
        return package

    def _told(self, package: Mapping[str, Any]) -> Version:
        return Version(
            self._group,
            str(package["ModelPackageVersion"]),
            model_uri(package),
            package["CreationTime"].timestamp(),
            dict(package.get("CustomerMetadataProperties", {})),
        )

    def _version_of(self, run: str) -> str | None:
        """The version that this run has made; None if there is none."""
        ours = (
            each
            for each in self._newest_first()
            if each.get("ModelPackageDescription") == description_of(run)
        )
        found = next(ours, None)
        return None if found is None else str(found["ModelPackageVersion"])

    def _new_version(self, artifacts: Path, run: str, tags: Mapping[str, str]) -> str:
        if self._artifacts is None:
            raise UsageError(
                "say where models that are promoted are put: sageMaker.artifacts, as in s3://bucket/models"
            )
        if self._group_arn() is None:
            self._sagemaker.create_model_package_group(ModelPackageGroupName=self._group)
        place = within("s3", self._artifacts, f"{self._group}/{run}/model.tar.gz")
        self._put(artifacts, place)
        container = {"ModelDataUrl": place.uri, **({} if self._image is None else {"Image": self._image})}
        made = self._sagemaker.create_model_package(
            ModelPackageGroupName=self._group,
            ModelPackageDescription=description_of(run),
            InferenceSpecification={"Containers": [container]},
            ModelApprovalStatus="PendingManualApproval",
            CustomerMetadataProperties=properties_of({_RUN_TAG: run, **tags}),
            ClientToken=token_of(run),
        )
        return str(made["ModelPackageArn"]).rpartition("/")[2]

    def _put(self, artifacts: Path, place: Place) -> None:
        with tempfile.TemporaryDirectory() as folder:
            packed = Path(folder) / "model.tar.gz"
            with tarfile.open(packed, "w:gz", dereference=True) as archive:
                for each in sorted(artifacts.iterdir()) if artifacts.is_dir() else [artifacts]:
                    archive.add(each, each.name)
            self._s3.upload_file(str(packed), place.bucket, place.key)

    def _moved(self, alias: str, version: str) -> str | None:
        package = self._got(version)
        before = self._now(alias)
        if before != version:
            tag = {"Key": alias_key(alias), "Value": version}
            self._sagemaker.add_tags(ResourceArn=self._group_arn(), Tags=[tag])
        if alias == self._alias:  # if it has it already too: it may have been killed in between
            self._approve(package, before)
        return None if before == version else before

    def _now(self, alias: str) -> str | None:
        """The version that has the alias; None if there is none."""
        group = self._group_arn()
        if group is None:
            return None
        pages = self._sagemaker.get_paginator("list_tags").paginate(ResourceArn=group)
        tags = {tag["Key"]: str(tag["Value"]) for page in pages for tag in page["Tags"]}
        return tags.get(alias_key(alias))

    def _approve(self, package: Mapping[str, Any] | None, before: str | None) -> None:
        """Approve what serves, and take back the approval of what served, and any that we have given else."""
        serves = None if package is None else str(package["ModelPackageVersion"])
        if package is not None and package.get("ModelApprovalStatus") != "Approved":
            self._sagemaker.update_model_package(
                ModelPackageArn=package["ModelPackageArn"],
                ModelApprovalStatus="Approved",
                ApprovalDescription=f"{_OURS}it is {self._alias}",
            )
        for each in list(self._newest_first(ModelApprovalStatus="Approved")):
            version = str(each["ModelPackageVersion"])
            if version != serves and (version == before or self._approved_by_us(version)):
                self._sagemaker.update_model_package(
                    ModelPackageArn=each["ModelPackageArn"],
                    ModelApprovalStatus="PendingManualApproval",
                    ApprovalDescription=f"{_OURS}it is {self._alias} no more",
                )

    def _approved_by_us(self, version: str) -> bool:
        package = self._package(version)
        return package is not None and str(package.get("ApprovalDescription", "")).startswith(_OURS)

    @property
    def _where(self) -> str:
        region = self._region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return f"SageMaker's model registry in {region}" if region else "SageMaker's model registry"

    @contextmanager
    def _in_words(self, doing: str) -> Generator[None]:
        try:
            from boto3.exceptions import Boto3Error
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise UsageError("SageMaker needs its client: pip install 'fairtrial[sagemaker]'") from None

        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            raise NotReadyError(
                f"{self._where} cannot be {doing} {self._group}: {said(error, '')}; see sageMaker.region, "
                f"the credentials of the AWS SDK (AWS_PROFILE and its like) and docs/registries.md"
            ) from None


@contextmanager
def _absent_is_none() -> Generator[None]:
    """What is not there raises nothing: SageMaker says so in a sentence, with a code of many meanings."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        told = str(error.response.get("Error", {}).get("Message", "")).lower()
        if not any(words in told for words in _ABSENT):
            raise
