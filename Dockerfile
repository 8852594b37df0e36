# An image that regenerates everything on a GPU host without a network:
#   make container-cuda          (docker build, with the revision and the lock's hash as labels)
#   mkdir -p out && docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD/out:/results" emergence:cuda
# For processors alone: make container, which is, but for the labels,
#   docker build --build-arg BASE_IMAGE=ubuntu:24.04 --build-arg LOCK=requirements.lock -t emergence:cpu .
#
# The CUDA libraries come as wheels, fixed by the lock, so the smallest base will do; of the CUDA 12
# bases for Ubuntu 24.04 the oldest asks least of the driver.
ARG BASE_IMAGE=nvidia/cuda:12.6.3-base-ubuntu24.04

# --- the environment ----------------------------------------------------------------------------
# hadolint ignore=DL3006
FROM ${BASE_IMAGE} AS environment
ARG LOCK=requirements-gpu.lock

# The distribution's own Python, in whichever version the base has.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*

COPY ${LOCK} /tmp/lock
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/lock

# --- the image ----------------------------------------------------------------------------------
# hadolint ignore=DL3006
FROM ${BASE_IMAGE}
ARG LOCK=requirements-gpu.lock

# rsync and git are for a cluster's pods: storage on a volume that they share, and Snakemake asks git
# which files to send.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends git python3 rsync \
 && rm -rf /var/lib/apt/lists/*

COPY --from=environment /opt/venv /opt/venv
COPY . /app
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -e /app \
 && python3 -m compileall -q /app/src \
 && mkdir -m 1777 /results

# Stated last: they change with every commit, the layers above do not.
ARG REVISION=unknown
ARG LOCK_SHA256=unknown
# A label that is wrong is worse than none: the build fails if the hash is not that of the lock.
RUN test "${LOCK_SHA256}" = unknown \
 || test "$(sha256sum "/app/${LOCK}")" = "${LOCK_SHA256}  /app/${LOCK}"
LABEL org.opencontainers.image.title="Emergence" \
      org.opencontainers.image.description="Three papers in which physics emerges inside a neural network, reproduced" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${REVISION}" \
      emergence.lock.name="${LOCK}" \
      emergence.lock.sha256="${LOCK_SHA256}"

# Any user id may run it (docker run --user), on a read-only root as well: whatever is not a result
# goes to /tmp. A user id without an account has no name, which LOGNAME gives. The base image would not
# start beside a driver older than it likes; whatever driver there is, the processor is there as well.
ENV PATH=/opt/venv/bin:${PATH} \
    HOME=/tmp \
    LOGNAME=emergence \
    XDG_CACHE_HOME=/tmp/.cache \
    MPLCONFIGDIR=/tmp/.matplotlib \
    EMERGENCE_HOUSE=/app \
    NVIDIA_DISABLE_REQUIRE=1 \
    EMERGENCE_REVISION=${REVISION} \
    EMERGENCE_LOCK=/app/${LOCK}
USER 1000:1000

# Snakemake works in the mounted folder; code, configuration and ledger stay in /app.
WORKDIR /results
ENTRYPOINT ["snakemake", "--snakefile", "/app/Snakefile"]
