# pgweir in a small image without a shell's worth of extras. Both bases can be replaced:
#   docker build --build-arg RUNTIME_IMAGE=registry.example/debian:bookworm-slim .
# A runtime image needs glibc as new as the build image's, and `useradd`.
ARG BUILD_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
# `dev` builds in a quarter of the time, for trying the image out.
ARG PROFILE=release
# Backtraces keep their function names; line tables would triple the size.
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo
WORKDIR /src
COPY . .
RUN cargo build --locked --package pgweir --bin pgweir --profile "$PROFILE" \
    && install -D target/*/pgweir /out/pgweir

FROM ${RUNTIME_IMAGE}
RUN groupadd --gid 6432 pgweir \
    && useradd --uid 6432 --gid 6432 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin pgweir
COPY --from=build /out/pgweir /usr/local/bin/pgweir
USER 6432:6432
EXPOSE 6432 9632
STOPSIGNAL SIGTERM
# Asks /readyz: healthy while at least one node serves. The configuration must have `[admin] http_address` on this port.
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 CMD ["/usr/local/bin/pgweir", "health", "--address", "127.0.0.1:9632"]
ENTRYPOINT ["/usr/local/bin/pgweir"]
CMD ["run", "/etc/pgweir/proxy.toml"]
