# The image of pearl-exporter: docker build -t pearl-exporter .
# The first stage installs the program into /opt/pearl-exporter; the second has that folder, Python
# and nothing that builds or installs.
#
# The tag fixes Python's minor version and Debian's release. The patch is the newest at each build, so
# that an image built anew has the security fixes of both.

FROM docker.io/library/python:3.13-slim-trixie AS build

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pearl_exporter pearl_exporter
# without pip in it, the environment can be copied as it is; with --compile, a read-only root file
# system costs no start-up time
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/pearl-exporter \
 && python -m pip --python /opt/pearl-exporter/bin/python install \
        --disable-pip-version-check --compile -c constraints.txt .


FROM docker.io/library/python:3.13-slim-trixie

COPY --from=build /opt/pearl-exporter /opt/pearl-exporter

# A number, so that Kubernetes can see that it is not root. The imports leave the compiled form of
# the standard library's modules, which the slim image has as text alone: a start takes a second
# and not several.
RUN python -m pip uninstall --yes --quiet --root-user-action=ignore pip \
 && groupadd --gid 10001 pearl \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/pearl-exporter \
        --shell /usr/sbin/nologin pearl \
 && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/pearl-exporter \
 && /opt/pearl-exporter/bin/python -c \
        'import pearl_exporter.cli, pearl_exporter.store.sql, sqlalchemy.dialects.sqlite, http.client'

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
