# A base image from a registry's or an own one: any with a CPython of 3.8 or later and git does.
ARG BASE
FROM ${BASE}
USER root
# Those that a slim image lacks; where no package source answers, what is there has to do.
RUN command -v git >/dev/null \
    || { apt-get update -qq && apt-get install -qqy --no-install-recommends git && rm -rf /var/lib/apt/lists/*; } \
    || true
RUN mkdir -p /opt/greendiff/probe /opt/greendiff/pycache /work && chown 1000:1000 /opt/greendiff /opt/greendiff/pycache
WORKDIR /
ENTRYPOINT []
