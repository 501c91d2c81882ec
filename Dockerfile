# relay as a container image: built in one stage, run in another that holds the daemon, exporter, relayctl and their libraries.
#
#   docker build -t relay .
#   docker run --rm -v DIR:/etc/relay:ro -v SOCKETS:SOCKETS --security-opt seccomp=PROFILE relay
#
# DIR holds loncapa.conf, whose directories have to exist in the container.  The runtime's default seccomp profile refuses
# io_uring: `docker run --rm relay --probe` says so, and what to allow.
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY deploy/deps.sh deploy/
RUN apt-get update -q && deploy/deps.sh build
COPY . .
RUN make install DESTDIR=/out prefix=/usr

FROM debian:bookworm-slim
RUN apt-get update -q && \
    apt-get install -y -q --no-install-recommends libconfuse2 libevent-core-2.1-7 libevent-extra-2.1-7 \
        libncursesw6 libprotobuf-c1 libsqlite3-0 liburing2 && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /out/usr/sbin/relayd /out/usr/sbin/relay-exporter /usr/sbin/
COPY --from=build /out/usr/bin/relayctl /usr/bin/relayctl
COPY --from=build /out/usr/share/doc/relay /usr/share/doc/relay
# A number, so that a runtime can check that it is not root.
USER 65532:65532
ENTRYPOINT ["/usr/sbin/relayd"]
CMD ["-F", "--loncapa", "/etc/relay"]
