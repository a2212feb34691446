# The image of everything: pipeline steps, Dask scheduler and workers, Katib trials, training replicas and both
# containers of the InferenceService. It has no ENTRYPOINT, because the operators set or append arguments.
# The tag 3.11-slim (Python 3.11.16) by its digest; CONTRIBUTING.md says how to renew it.
ARG BASE_IMAGE=docker.io/library/python@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7

FROM ${BASE_IMAGE} AS dependencies
RUN python3 -m venv /opt/venv
COPY requirements.txt requirements-torch.txt ./
# The build of torch. cuda: what your package index has, which is the CUDA build on PyPI, with the libraries that it needs.
# cpu: the CPU build from an index of its own, by its exact version; it needs nothing that is not locked.
ARG TORCH=cuda
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
# Optional secrets: a pip configuration (for your own package index), and certificate authorities.
# Bytecode is compiled here: a pod's file system may be read-only, so that every start would compile it again.
# Files that the image does not need are deleted: pip, tests of packages, C headers and torch's test programs.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    export PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    && case "$TORCH" in \
        cuda) set -- -r requirements-torch.txt ;; \
        cpu) sed 's/==[^ ;]*/&+cpu/' requirements-torch.txt > torch-cpu.txt \
            && set -- --no-deps --index-url "$TORCH_CPU_INDEX" -r torch-cpu.txt ;; \
        *) echo "TORCH is '$TORCH'; give cpu or cuda" >&2; exit 1 ;; \
    esac \
    && /opt/venv/bin/pip install --require-hashes --no-deps -r requirements.txt \
    && /opt/venv/bin/pip install "$@" \
    && /opt/venv/bin/pip uninstall --yes --quiet pip \
    && cd /opt/venv/lib/python3*/site-packages \
    && find . -type d \( -name tests -o -name test -o -name include \) -prune -exec rm -r {} + \
    && find torch/bin -type f ! -name torch_shm_manager -delete

# Builders may change the times of files, so a hash says whether bytecode is that of the source.
FROM dependencies AS program
WORKDIR /app
COPY container_component_src container_component_src
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode checked-hash container_component_src \
    && /opt/venv/bin/python -c "from container_component_src.report import rendering; rendering.compile_templates()" \
    && chmod -R a+rX container_component_src

FROM ${BASE_IMAGE}
RUN useradd --uid 1000 --home-dir /tmp --no-create-home --shell /bin/sh app
# PYTHONPATH: Dask workers start with `dask worker`, not with this project's program.
# GOMP_SPINCOUNT: see SPIN_DEFAULTS in limits.py.
# HOME: the only writable place if the root file system is read-only. USER: the user that a cluster assigns has no name.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp USER=app \
    GOMP_SPINCOUNT=10000
WORKDIR /app
USER 1000:1000
# These labels stand before the large layer, because some builders copy that layer for every later instruction.
# `make image` adds version, commit and base image: as build arguments, they could come from an earlier build's cache.
LABEL org.opencontainers.image.title="columbus-eclss-ad" \
      org.opencontainers.image.description="Anomaly detection on ISS Columbus telemetry with Kubeflow" \
      org.opencontainers.image.licenses="MIT"
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=program /app/container_component_src container_component_src
