import socket
import threading
from collections.abc import Iterator

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from container_component_src.cluster.access import Cluster, TransientError, connect
from container_component_src.cluster.kinds import INFERENCE_SERVICE
from container_component_src.errors import InputError, StepError
from tests.cluster.emulator import NAMESPACE


@pytest.fixture
def disconnecting() -> Iterator[Cluster]:
    """Access to a server that closes every connection before the TLS handshake."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def disconnect() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:  # the test is over
                    return
                connection.close()

        threading.Thread(target=disconnect, daemon=True).start()
        configuration = client.Configuration(host=f"https://127.0.0.1:{server.getsockname()[1]}")
        configuration.retries = False
        yield Cluster(client.ApiClient(configuration), NAMESPACE, patience=0.3)


def test_connection_closed_during_the_handshake_is_a_transient_error(disconnecting: Cluster) -> None:
    with pytest.raises(TransientError, match="cannot get InferenceService a"):
        disconnecting.get(INFERENCE_SERVICE, "a")


def test_untrusted_certificate_is_not_a_transient_error(cluster: Cluster) -> None:
    reason = "SSLError\n[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"
    calls: list[None] = []

    def call(**_: object) -> None:
        calls.append(None)
        raise ApiException(status=0, reason=reason)

    with pytest.raises(StepError, match="self-signed certificate") as caught:
        cluster.request(call, "get", "it")
    assert not isinstance(caught.value, TransientError)
    assert len(calls) == 1


def test_an_empty_variable_names_no_file_of_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")  # as in a pod, but without the files of its account
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(InputError, match=r"no cluster credentials \(Service token file does not exist"):
        connect("team")
