# syntax=docker/dockerfile:1
# The bot as an image: no compiler, no pip cache, no root. docs/how-to/install-on-a-server.md says how to run it.
# For builds that repeat to the byte, put the digest that you have reviewed behind the tag: --build-arg BASE=debian@sha256:…
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
# Versions come from the release of Debian; what is ours is pinned by hash in deploy/*.lock.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY deploy/build.lock deploy/image.lock deploy/
RUN python3 -m venv /opt/interlock \
    && python3 -m venv /opt/build \
    && /opt/interlock/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement deploy/image.lock \
    && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement deploy/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY runner runner
COPY bot bot
RUN /opt/build/bin/python -m hatchling build --target wheel \
    && /opt/interlock/bin/pip install --no-cache-dir --no-deps --no-index dist/*.whl \
    && /opt/interlock/bin/pip uninstall --yes pip setuptools \
    && /opt/interlock/bin/interlock --version

FROM ${BASE}
# bubblewrap keeps boxes inside, git fetches what they test, tini collects what ends without a parent.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap ca-certificates git python3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --home-dir /var/lib/interlock --create-home --skel /nonexistent \
        --shell /usr/sbin/nologin interlock
COPY --from=build /opt/interlock /opt/interlock
ENV PATH=/opt/interlock/bin:/usr/local/bin:/usr/bin:/bin \
    INTERLOCK_DATA_DIR=/var/lib/interlock
USER 10001:10001
WORKDIR /var/lib/interlock
VOLUME /var/lib/interlock
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health/ready', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "interlock"]
CMD ["serve", "--host", "0.0.0.0"]
