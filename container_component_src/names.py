"""Names that Kubernetes and registries of images accept, and addresses that the storage does."""

import re
from ipaddress import IPv6Address, ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

S3_PREFIXES = ("s3://", "minio://", "/minio/")
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_OBJECT = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_HOST = r"([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(:\d{1,5})?"
# Of hosts that botocore accepts.
_HOST_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,255}}$){_HOST_LABEL}(\.{_HOST_LABEL})*")
_PATH = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"({_HOST}/)?{_PATH}(/{_PATH})*"
_TAG = r"\w[\w.-]{0,127}"
_REFERENCE = rf"{_REPOSITORY}(:{_TAG})?(@sha256:[0-9a-f]{{64}})?"
_OBJECT_RULE = "at most 253 lower-case letters, digits, hyphens and dots, starting and ending with a letter or digit"
_IMAGE_RULE = "lower-case letters, digits, '.', '_', '-' and '/', after a host if it is not the default registry"
_TAG_RULE = "at most 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'"
_LABEL_RULE = "at most 63 letters, digits, '-', '_' and '.', starting and ending with a letter or digit"


def _matching(pattern: str, most: int, what: str, rule: str, optional: bool = False) -> AfterValidator:
    """Return the check of a name.

    Args:
        pattern: Regular expression of the whole name.
        most: Largest number of characters.
        what: What the name is of, for the message.
        rule: What the name consists of, for the message.
        optional: Whether the empty name is accepted.
    """
    compiled = re.compile(pattern, re.ASCII)

    def check(name: str) -> str:
        if (name or not optional) and (len(name) > most or not compiled.fullmatch(name)):
            raise ValueError(f"'{name}' is not a valid {what}: use {rule}")
        return name

    return AfterValidator(check)


def check_uri(uri: str) -> str:
    """Check an address as far as its text goes, see the storage module for its forms.

    Raises:
        ValueError: It is empty, has no bucket or an unknown scheme, or contains a login.
    """
    if not uri or "\0" in uri:
        raise ValueError("an empty path was given; name a file or folder" if not uri else "a path has a null character")
    if "@" in uri.partition("://")[2].partition("/")[0]:  # the message does not repeat it
        raise ValueError("an address contains a login; give the bucket, and set AWS_ACCESS_KEY_ID and the other keys")
    if re.match(r"\w+:/+", uri) and not uri.startswith(("file://", *S3_PREFIXES)):
        raise ValueError(f"{uri}: unknown scheme; use a path, file://, s3:// or minio://")
    if uri.startswith(S3_PREFIXES[:2]) and not uri.partition("://")[2].strip("/"):
        raise ValueError(f"{uri}: no bucket is named; give an address like s3://bucket/key")
    return uri


def is_address(url: str) -> bool:
    """Return whether the S3 client can use an address; it may have a path, but no query or fragment."""
    if not re.fullmatch(r"https?://[\x21-\x7e]+", url, re.IGNORECASE) or "?" in url or "#" in url:
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if parts.netloc.startswith("["):
            return isinstance(ip_address(host), IPv6Address) and port != 0
    except ValueError:  # an invalid port or address
        return False
    # A host called http is a scheme with a slash or a colon missing.
    return port != 0 and host not in {"http", "https"} and bool(_HOST_NAME.fullmatch(host))


def _endpoint(text: str) -> str:
    if "@" in text:
        raise ValueError("the endpoint contains a login; give the address only")
    if text and not is_address(text if "://" in text else f"https://{text}"):
        raise ValueError(f"'{text}' is not a valid address; give host:port, or http(s)://host:port")
    return text


def _web_address(text: str) -> str:
    if "@" in text:
        raise ValueError("the address contains a login; give the address only")
    if text and not is_address(text):
        raise ValueError(f"'{text}' is not a valid address; give http(s)://host:port")
    return text


def _optional_uri(uri: str) -> str:
    return check_uri(uri) if uri else uri


def _label_key(key: str) -> str:
    prefix, separator, name = key.rpartition("/")
    long = len(prefix) > 253 or len(name) > 63  # of DNS names and of labels
    if long or not re.fullmatch(_QUALIFIED, name, re.ASCII) or (separator and not re.fullmatch(_OBJECT, prefix)):
        raise ValueError(f"'{key}' is not a valid key of a label or annotation: use NAME or DOMAIN/NAME, as team/cost")
    return key


def has_registry(reference: str) -> bool:
    """Return whether an image reference names its registry; container runtimes take Docker Hub for it otherwise.

    The part before the first slash is a registry if it has a dot or a port, is `localhost`, or has capital letters.
    """
    host, slash, _ = reference.partition("/")
    return bool(slash) and (bool(re.search(r"[.:A-Z]", host)) or host == "localhost")


Endpoint = Annotated[str, AfterValidator(_endpoint)]  # of an S3 store; empty: that of the environment
WebAddress = Annotated[str, AfterValidator(_web_address)]  # empty: none
Uri = Annotated[str, AfterValidator(check_uri)]
OptionalUri = Annotated[str, AfterValidator(_optional_uri)]
SecretName = Annotated[str, _matching(_OBJECT, 253, "name of a Secret", _OBJECT_RULE)]
OptionalSecretName = Annotated[str, _matching(_OBJECT, 253, "name of a Secret", _OBJECT_RULE, optional=True)]
# Empty: the default one of the namespace.
AccountName = Annotated[str, _matching(_OBJECT, 253, "name of a service account", _OBJECT_RULE, optional=True)]
# Empty: that of the pod.
Namespace = Annotated[
    str, _matching(_LABEL, 63, "namespace", "at most 63 lower-case letters, digits and hyphens", optional=True)
]
ResourceName = Annotated[
    str, _matching(rf"{_OBJECT}/{_QUALIFIED}", 253, "name of an extended resource", "DOMAIN/NAME, as nvidia.com/gpu")
]
LabelKey = Annotated[str, AfterValidator(_label_key)]  # of a label or an annotation
LabelValue = Annotated[str, _matching(_QUALIFIED, 63, "value of a label", _LABEL_RULE, optional=True)]
ImageRepository = Annotated[str, _matching(_REPOSITORY, 255, "repository of an image", _IMAGE_RULE)]
OptionalImageRepository = Annotated[
    str, _matching(_REPOSITORY, 255, "repository of an image", _IMAGE_RULE, optional=True)
]
ImageTag = Annotated[str, _matching(_TAG, 128, "image tag", _TAG_RULE)]
# With a tag or a digest; empty: none is known.
ImageReference = Annotated[str, _matching(_REFERENCE, 511, "reference of an image", _IMAGE_RULE, optional=True)]
