# syntax=docker/dockerfile:1

FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/krsync
WORKDIR /source
# The pinned packages first: this layer stays as long as the lock does.
COPY requirements.lock ./
RUN /opt/krsync/bin/pip install -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY connectors connectors
COPY workers workers
RUN /opt/krsync/bin/pip install --no-deps .

FROM python:3.12-slim
RUN groupadd --system --gid 10001 krsync \
    && useradd --system --uid 10001 --gid krsync --home-dir /data --no-create-home --shell /usr/sbin/nologin krsync \
    && install --directory --owner=krsync --group=krsync --mode=0700 /data
COPY --from=build /opt/krsync /opt/krsync
ENV PATH=/opt/krsync/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    KRSYNC_HOST=0.0.0.0 \
    KRSYNC_PORT=8000 \
    KRSYNC_LOG=json \
    KRSYNC_DATA_DIR=/data
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 8000
# For `serve`; a container that runs something else switches it off.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"KRSYNC_PORT\"]}/healthz', timeout=2)"]
ENTRYPOINT ["krsync"]
CMD ["serve"]
