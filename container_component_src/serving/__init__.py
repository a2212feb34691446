"""The model server, its client and its deployment."""

from importlib.metadata import version

from container_component_src.deferred import class_of, defer

# KServe imports its client of Kubernetes, a third of its import, which nothing here uses.
defer("kserve.api.kserve_client", {"KServeClient": lambda: None})
# It names tables in annotations and checks of types; the servers use none.
TABLE = class_of("pandas.core.frame", "DataFrame")
defer("pandas", {"DataFrame": lambda: TABLE, "__version__": lambda: version("pandas")})
