# relay as a container image: built in one stage, shipped in another that holds nothing but the programs, the libraries they
# load, their licences, and the few files that those libraries read.  No shell: the target `debug` adds one, and a peer.
#
#   make image          this file, by docker, podman or buildah: localhost/relay and localhost/relay:debug
#   deploy/README.md    how to run it; deploy/seccomp.json is the system call profile for it
#
# The first process reaps: relayd's keeper is made for it and needs no init before it.
FROM docker.io/library/debian:bookworm-slim AS build
WORKDIR /src
COPY deploy/deps.sh deploy/
RUN apt-get update -q && deploy/deps.sh build && apt-get install -y -q --no-install-recommends busybox-static
# What is compiled and no more, so that a change of tests or papers keeps that layer.
COPY Makefile ./
COPY wire wire
COPY uring uring
COPY relay relay
COPY bench/*.c bench/*.h bench/
COPY deploy/examples deploy/examples
RUN make build/relayd build/relay-exporter build/relayctl build/relay-prefork build/relay-msg build/relay-peer build/examples/prefork-service
COPY LICENSE ./
COPY deploy/image/root deploy/image/
RUN deploy/image/root /image sbin/relayd sbin/relay-exporter bin/relayctl bin/relay-prefork bin/relay-msg && \
    deploy/image/root --more /debug bin/relay-peer bin/prefork-service && \
    install -D /bin/busybox /debug/bin/busybox && install -d /debug/usr/share/doc/busybox-static && \
    install -m 644 /usr/share/doc/busybox-static/copyright /debug/usr/share/doc/busybox-static && \
    ln -s busybox /debug/bin/sh

# Version and revision are labelled by deploy/image/build.
FROM scratch AS appliance
LABEL org.opencontainers.image.title="relay" \
      org.opencontainers.image.description="Carries the requests of LON-CAPA's programs to remote londs, by io_uring" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
# Ours to write to: sockets of hosts, what clients share; control socket; what outlives a restart.  /etc/relay is only read.
COPY --from=build --chown=65532:65532 /empty/ /run/sockets/
COPY --from=build --chown=65532:65532 /empty/ /run/relay/
COPY --from=build --chown=65532:65532 /state/ /var/lib/relay/
ENV PATH=/usr/sbin:/usr/bin:/bin RUNTIME_DIRECTORY=/run/relay STATE_DIRECTORY=/var/lib/relay RELAY_CONTROL=/run/relay/relay.control
VOLUME ["/etc/relay", "/run/sockets", "/run/relay", "/var/lib/relay"]
# A number, so that a runtime can check that it is not root.
USER 65532:65532
STOPSIGNAL SIGTERM
# Whether it serves: a peer that is down is no reason to keep clients waiting, or to start the relay again.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/bin/relayctl", "health", "--ready"]
ENTRYPOINT ["/usr/sbin/relayd"]
CMD ["-F", "--loncapa", "/etc/relay"]

# relayd as in the appliance, with a shell, a small lond and a service to try things with.
FROM appliance AS debug
COPY --from=build /debug/ /

# What is built when no target is named.
FROM appliance
