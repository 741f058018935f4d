# The image of datarobot_drum: docs/operate/kubernetes.md says how to build, run and check it.
ARG PYTHON_VERSION=3.12
ARG BASE_IMAGE=docker.io/library/python:${PYTHON_VERSION}-slim

FROM ${BASE_IMAGE} AS build
# The extras of setup.py, separated by blanks: those with a file in deploy/image/requirements.
ARG EXTRAS="scikit-learn compile metrics otel"
WORKDIR /src
COPY deploy/image/requirements deploy/image/requirements
COPY deploy/image/install deploy/image/install
RUN deploy/image/install dependencies /opt/drum ${EXTRAS}
COPY setup.py pyproject.toml README.md ./
COPY custom_model_runner custom_model_runner
RUN deploy/image/install package /opt/drum

FROM ${BASE_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="datarobot_drum" \
      org.opencontainers.image.description="Serves a folder of model code over HTTP." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# OpenMP's library, which LightGBM needs and does not bring along. Debian removes old versions, so none is named.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 drum \
    && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin drum
COPY --from=build /opt/drum /opt/drum
# Everything is read-only but /tmp. HOME and USER also serve users without an entry in /etc/passwd.
ENV PATH=/opt/drum/bin:${PATH} \
    HOME=/tmp \
    USER=drum \
    PYTHONDONTWRITEBYTECODE=1 \
    DRUM_SERVER_TYPE=fastapi \
    DRUM_MANAGEMENT_PORT=8081
EXPOSE 8080 8081
# A number: Kubernetes cannot see whether a name is root.
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "datarobot_drum.drum.management.healthcheck"]
ENTRYPOINT ["drum"]
CMD ["serve"]
