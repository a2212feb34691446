# The one image: every step of the pipeline, Dask scheduler and workers, Katib trials, training replicas and both
# containers of the InferenceService run it. There is no ENTRYPOINT, because the operators set or append arguments.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS dependencies
RUN python3 -m venv /opt/venv
COPY requirements.txt .
# Secrets, where given: a configuration of pip (an index of your own), and certificate authorities.
# Compiled here once: the file system of a pod may be read-only, and every start would compile anew.
# Then without pip, the tests of the packages, headers for a compiler that is not there, and torch's test programs.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt \
    && /opt/venv/bin/pip uninstall --yes --quiet pip \
    && cd /opt/venv/lib/python3*/site-packages \
    && find . -type d \( -name tests -o -name test -o -name include \) -prune -exec rm -r {} + \
    && find torch/bin -type f ! -name torch_shm_manager -delete

FROM ${BASE_IMAGE}
RUN useradd --uid 1000 --home-dir /tmp --no-create-home --shell /bin/sh app
# PYTHONPATH: Dask workers are started by `dask worker`, not by this project's program.
# HOME: the one place that can be written where the root file system is read-only. USER: for a user without a name.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp USER=app
WORKDIR /app
USER 1000:1000
# Before the large layer, of which a builder without overlays makes a copy for every later instruction. `make image` adds
# version, commit and base: as arguments, builders would take those of an earlier build from their cache.
LABEL org.opencontainers.image.title="columbus-eclss-ad" \
      org.opencontainers.image.description="Anomaly detection on ISS Columbus telemetry with Kubeflow" \
      org.opencontainers.image.licenses="MIT"
COPY --from=dependencies /opt/venv /opt/venv
COPY container_component_src container_component_src
