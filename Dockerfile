# The images of docker-compose.yml, one stage each: collector, worker, analyst, nats. They build with BuildKit and without.
#
#   docker build --target collector -t logbraid/collector .

FROM golang:1.26 AS build
WORKDIR /src
COPY . .
# "empty" becomes the directories that volumes are mounted on: a new named volume takes over their owner and mode.
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/bin/ ./cmd/collector ./docs/examples/trials ./docs/examples/analyst \
	&& mkdir -p -m 0750 /out/empty

FROM gcr.io/distroless/static-debian12:nonroot AS collector
COPY --from=build /out/bin/collector /usr/local/bin/collector
COPY --from=build --chown=65532:65532 /out/empty /var/log/logbraid
COPY --from=build --chown=65532:65532 /out/empty /var/lib/logbraid
USER 65532:65532
ENV LOGBRAID_DIR=/var/log/logbraid
VOLUME /var/log/logbraid
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=5 CMD ["/usr/local/bin/collector", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/collector"]

# The example worker: docs/examples/trials. A worker of your own looks the same.
FROM gcr.io/distroless/static-debian12:nonroot AS worker
COPY --from=build /out/bin/trials /usr/local/bin/trials
COPY --from=build --chown=65532:65532 /out/empty /var/lib/logbraid
COPY --from=build --chown=65532:65532 /out/empty /var/lib/trials
USER 65532:65532
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=5 CMD ["/usr/local/bin/trials", "-healthcheck"]
ENTRYPOINT ["/usr/local/bin/trials"]

# The example analyst: docs/examples/analyst. Whether it does its work shows in what it prints.
FROM gcr.io/distroless/static-debian12:nonroot AS analyst
COPY --from=build /out/bin/analyst /usr/local/bin/analyst
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/analyst"]

# The official image with the roles of deploy/nats, and with directories that a user other than root may write to.
FROM nats:2.15.2-alpine AS nats
COPY --chown=65532:65532 deploy/nats /etc/logbraid
COPY --from=build --chown=65532:65532 /out/empty /data
COPY --from=build --chown=65532:65532 /out/empty /run/secrets/collector
COPY --from=build --chown=65532:65532 /out/empty /run/secrets/analyst
COPY --from=build --chown=65532:65532 /out/empty /run/secrets/worker
COPY --from=build --chown=65532:65532 /out/empty /run/secrets/w1
USER 65532:65532
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=5 CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8222/healthz"]
ENTRYPOINT ["/bin/sh", "/etc/logbraid/entrypoint.sh"]
CMD ["nats-server", "--config", "/etc/logbraid/nats.conf"]
