"""The model server, its client and its deployment."""

from container_component_src.deferred import defer

# KServe imports its client of Kubernetes, a third of its import, which nothing here uses.
defer("kserve.api.kserve_client", {"KServeClient": lambda: None})
