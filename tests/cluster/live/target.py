"""Cluster of the tests, described by environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLES = {
    "KUBECONFIG": "a kubeconfig whose user may create what deploy/rbac.yaml lists, pods, Secrets and quotas",
    "TEST_NAMESPACE": "a namespace for the tests alone, with deploy/rbac.yaml and deploy/secret.example.yaml applied",
    "TEST_IMAGE": "the project's image, which the nodes can pull",
    "TEST_DATA_ROOT": "an s3:// prefix that the keys of the Secret may write to",
}


@dataclass(frozen=True)
class Target:
    """Namespace and settings of the steps."""

    namespace: str
    image: str
    data_root: str
    s3_secret: str
    service_account: str
    cpu: str
    memory: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Target":
        """Create the target from environment variables.

        Raises:
            ValueError: Variables are missing; the message describes them.
        """
        missing = [f"  {name}: {what}" for name, what in VARIABLES.items() if not environment.get(name)]
        if missing:
            raise ValueError("\n".join(["the tests of a cluster need these environment variables:", *missing]))
        return cls(
            environment["TEST_NAMESPACE"],
            environment["TEST_IMAGE"],
            environment["TEST_DATA_ROOT"].rstrip("/"),
            environment.get("TEST_S3_SECRET", "s3creds"),
            environment.get("TEST_SERVICE_ACCOUNT", "default-editor"),
            environment.get("TEST_CPU", "100m"),
            environment.get("TEST_MEMORY", "2Gi"),
        )

    def pod_options(self, image: str = "", image_option: str = "--image") -> list[str]:
        """Return the options of a launching command."""
        return [
            *("--backend", "kubernetes", "--namespace", self.namespace, image_option, image or self.image),
            *("--s3-secret", self.s3_secret, "--service-account", self.service_account),
            *("--cpu", self.cpu, "--memory", self.memory),
        ]
