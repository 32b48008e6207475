# syntax=docker/dockerfile:1
# A small image that runs as nobody. The build steps are those of the Makefile, so that every check exercises them.

# This image has a C compiler and make.
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock Makefile portcullis.schema.json config.example.toml ./
COPY src ./src
COPY benches ./benches
COPY tests ./tests
RUN make release

# glibc and CA certificates, no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/portcullis /usr/local/bin/portcullis
COPY --from=build /build/config.example.toml /etc/portcullis/example.toml
USER 65532:65532
EXPOSE 8080 8443 9902
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s CMD ["/usr/local/bin/portcullis", "health"]
ENTRYPOINT ["/usr/local/bin/portcullis"]
CMD ["run"]
