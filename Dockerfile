# How to build and run the image (BuildKit or buildah, for the cache mounts):
#
#     docker build -t serin --build-arg REVISION=$(git rev-parse HEAD) .
#     docker run --rm serin demo --for 30s
#     docker run -d -p 8080:8080 -v $PWD/config:/etc/serin:ro serin
#
# Mount the folder, not the single file: serin watches the folder, and an editor that saves by renaming would leave a
# mounted file behind. Listeners and admin in serin.yaml must be reachable from outside the container (0.0.0.0).

FROM rust:1.95-alpine AS build
# A C compiler and make, for jemalloc. On Alpine the native target is musl and links statically by itself.
# Not pinned: the base image's release fixes the versions, and drops old ones.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base
WORKDIR /build
COPY . .
# What the metric serin_build_info tells.
ARG REVISION=unknown
ENV SERIN_REVISION=$REVISION
# The caches belong to the builder, not to the image: compiled dependencies survive a changed source, and a changed
# manifest rebuilds only what changed. cargo goes by modification times, and those of a checkout can be older than a
# cached build: hence touch. On ARM the kernel's pages may be 64 KiB, which jemalloc has to know when it is built.
RUN --mount=type=cache,id=serin-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=serin-target,target=/build/target,sharing=locked \
    set -eu; \
    if [ "$(uname -m)" = aarch64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi; \
    touch src/lib.rs src/main.rs; \
    cargo build --release --locked --bin serin; \
    mkdir -p /image/etc/serin /image/tmp; \
    chmod 1777 /image/tmp; \
    strip --strip-debug -o /image/serin target/release/serin; \
    # A dynamic binary would not start in an empty image: better to fail here.
    readelf --program-headers /image/serin > headers.txt; \
    if grep INTERP headers.txt; then echo "serin is not static" >&2; exit 1; fi; \
    /image/serin --version

FROM scratch
ARG REVISION=unknown
LABEL org.opencontainers.image.title="serin" \
      org.opencontainers.image.description="A feature-flag and traffic-split sidecar proxy" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.revision="$REVISION"
# The binary, an empty folder for the configuration, and /tmp for `serin demo`.
COPY --from=build /image/ /
# A number, so that Kubernetes can see that it is not root; there is no /etc/passwd here to look a name up in.
USER 65532:65532
WORKDIR /etc/serin
EXPOSE 8080 9901
# Drains: no new connections, requests in flight end within drainTimeout. `docker stop` kills after 10 s by default,
# so give it `--time` beyond drainTimeout.
STOPSIGNAL SIGTERM
# Asks the admin address (127.0.0.1:9901; SERIN_ADMIN or --admin for another). Kubernetes uses its own probes instead.
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s --retries=3 CMD ["/serin", "status"]
ENTRYPOINT ["/serin"]
CMD ["run", "--config", "/etc/serin/serin.yaml"]
