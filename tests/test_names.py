"""Names and addresses, as Kubernetes, registries and stores accept them."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from container_component_src import names

LONG = "a" * 64


def accepts(kind: Any, text: str) -> bool:
    try:
        return bool(TypeAdapter(kind).validate_python(text) == text)
    except ValidationError as error:
        assert len(error.errors()) == 1
        return False


@pytest.mark.parametrize(
    ("kind", "valid", "invalid"),
    [
        (
            names.SecretName,
            ["s3creds", "a.b-c", "0", "a" * 253],
            ["", "A", "a_b", "-a", "a-", "a..b", "a b", "a" * 254, "a\n"],
        ),
        (names.AccountName, ["", "default", "a.b"], ["Default", "a/b", "a:b", "ä"]),
        (names.Namespace, ["", "team-a", "0"], ["Team", "a.b", "a_b", "-a", "a-", LONG, "a\n", "a b"]),
        (
            names.ResourceName,
            ["nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "amd.com/gpu"],
            [
                "",
                "gpu",
                "nvidia.com/",
                "/gpu",
                "nvidia.com/gpu/x",
                "Nvidia.com/gpu",
                "nvidia.com/-gpu",
                "nvidia.com/g pu",
            ],
        ),
        (
            names.ImageRepository,
            ["name", "owner/name", "localhost:5000/name", "registry.example.com/a/b_c/d--e", "[::1]:5000/a"],
            [
                "",
                "Name",
                "a:1",
                "a//b",
                "/a",
                "a/",
                "https://host/a",
                "a b",
                "a@sha256:1",
                "-a",
                "a___b",
                "a" * 256,
                "a\n",
            ],
        ),
        (
            names.ImageTag,
            ["latest", "1.0", "_a", "A-b.c", "a" * 128],
            ["", ".a", "-a", "a:b", "a/b", "a" * 129, "é", "a\n"],
        ),
        (
            names.ImageReference,
            ["", "a", "a:1", f"a@sha256:{'0' * 64}", f"host:1/a:b@sha256:{'f' * 64}"],
            ["a:", "a@sha256:0", "a:b:c", "A:1", "a:1 "],
        ),
        (
            names.Uri,
            [
                "a",
                "~/a",
                "/a:b",
                "s3://bucket",
                "minio://bucket/a",
                "/minio/bucket/a",
                "file:///a",
                "s3://bucket/a@b",
                "a/b@c",
            ],
            ["", "a\0", "gs://bucket", "https://host/a", "s3:/bucket", "s3://", "s3:///", "s3://key:secret@bucket/a"],
        ),
        (names.OptionalUri, ["", "s3://bucket"], ["s3://"]),
        (
            names.Endpoint,
            ["", "minio:9000", "https://minio", "http://[::1]:9"],
            ["a b", "ftp://minio", "me:secret@minio"],
        ),
    ],
)
def test_names(kind: Any, valid: list[str], invalid: list[str]) -> None:
    assert [text for text in valid if not accepts(kind, text)] == []
    assert [text for text in invalid if accepts(kind, text)] == []


@pytest.mark.parametrize("kind", [names.Uri, names.Endpoint])
def test_no_message_shows_a_login(kind: Any) -> None:
    with pytest.raises(ValidationError, match="contains a login") as caught:
        TypeAdapter(kind).validate_python("s3://me:sEcReT@bucket/a")
    assert all("sEcReT" not in item["msg"] for item in caught.value.errors())
