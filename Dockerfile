# The image of pearl-exporter: docker build -t pearl-exporter .
# The first stage installs the program into /opt/pearl-exporter; the second has that folder, Python
# and nothing that builds or installs.
#
# The tag fixes Python's minor version and Debian's release. The patch is the newest at each build, so
# that an image built anew has the security fixes of both.

FROM docker.io/library/python:3.13-slim-trixie AS build

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY requirements requirements
COPY pearl_exporter pearl_exporter
# What is fetched has the hash that it had when the tests passed, what builds the program too; a
# source that would have to be compiled is no help here. Without pip in it, the environment can be
# copied as it is; with --compile, a read-only root file system costs no start-up time.
RUN --mount=type=cache,target=/root/.cache/pip \
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
 && python -m venv --without-pip /opt/pearl-exporter \
 && python -m pip --python /opt/pearl-exporter/bin/python install --compile \
        --require-hashes --no-deps --only-binary=:all: -r requirements/image.txt \
 && python -m pip install \
        --require-hashes --no-deps --only-binary=:all: -r requirements/image-build.txt \
 && python -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist . \
 && python -m pip --python /opt/pearl-exporter/bin/python install --compile \
        --no-deps --no-index dist/*.whl \
 && python -m pip --python /opt/pearl-exporter/bin/python check


FROM docker.io/library/python:3.13-slim-trixie

COPY --from=build /opt/pearl-exporter /opt/pearl-exporter

# A number, so that Kubernetes can see that it is not root. OpenShift runs it as a number of its own, in
# group 0, which may write the state too. The imports leave the compiled form of
# the standard library's modules, which the slim image has as text alone: a start takes a second
# and not several.
RUN python -m pip uninstall --yes --quiet --root-user-action=ignore pip \
 && groupadd --gid 10001 pearl \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/pearl-exporter \
        --shell /usr/sbin/nologin pearl \
 && install --directory --owner=10001 --group=0 --mode=0770 /var/lib/pearl-exporter \
 && /opt/pearl-exporter/bin/python -c \
        'import pearl_exporter.cli, pearl_exporter.state.sql, sqlalchemy.dialects.sqlite, http.client'

ENV PATH=/opt/pearl-exporter/bin:$PATH \
    PEARL_STATE__URL=sqlite:////var/lib/pearl-exporter/pearl-exporter.db

USER 10001:10001
WORKDIR /var/lib/pearl-exporter
VOLUME /var/lib/pearl-exporter
EXPOSE 10042
STOPSIGNAL SIGTERM

HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python", "-Im", "pearl_exporter.healthcheck"]

ENTRYPOINT ["pearl-exporter"]
CMD ["serve"]

ARG REVISION=""
LABEL org.opencontainers.image.title="pearl-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the outbound calls of NLPearl.AI" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-trixie"
