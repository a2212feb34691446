# The one image: every step of the pipeline, Dask scheduler and workers, Katib trials, training replicas and both
# containers of the InferenceService run it. There is no ENTRYPOINT, because the operators set or append arguments.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS dependencies
RUN python3 -m venv /opt/venv
COPY requirements.txt .
RUN /opt/venv/bin/pip install --no-cache-dir --no-compile -r requirements.txt

FROM ${BASE_IMAGE}
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /app
COPY container_component_src container_component_src
# PYTHONPATH: Dask workers are started by `dask worker`, not by this project's program.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 1000:1000
