# syntax=docker/dockerfile:1
# A Weft node for servers. The base brings the Node that Weft runs on elsewhere too, so that the package's own copy (an
# optional dependency) can stay out; slim, because ONNX Runtime needs glibc, which Alpine does not have.
#   docker build -t weft .
#   docker run -d --name weft -v weft:/data -p 127.0.0.1:9338:9338 -p 9339:9339 -e WEFT_API_KEY=… weft
ARG NODE_IMAGE=node:26.10.0-slim

# From sources to what the registry would get.
FROM ${NODE_IMAGE} AS pack
WORKDIR /src
COPY . .
RUN npm ci && mkdir /pack && npm pack --ignore-scripts --pack-destination /pack

# From there to what a server needs: no tools, no second Node, no binaries for other systems. No install script is needed,
# and ONNX Runtime's would fetch its CUDA libraries.
FROM ${NODE_IMAGE} AS install
COPY --from=pack /pack/*.tgz /tmp/weft.tgz
RUN npm install --omit=dev --omit=optional --ignore-scripts --prefix /opt/weft /tmp/weft.tgz \
  && /opt/weft/node_modules/.bin/weft service prune

FROM ${NODE_IMAGE}
# A fixed number, so that a volume belongs to the same user in every version.
RUN groupadd --gid 9338 weft \
  && useradd --uid 9338 --gid 9338 --home-dir /data --no-create-home --shell /usr/sbin/nologin weft \
  && install -d -m 700 -o weft -g weft /data \
  && ln -s /opt/weft/node_modules/.bin/weft /usr/local/bin/weft
COPY --from=install /opt/weft /opt/weft
# 0.0.0.0 is the container's own network; a node that listens there wants a WEFT_API_KEY of yours before it starts.
# mDNS doesn't cross a container's network; join by ticket, and say by WEFT_ANNOUNCE where peers reach this machine.
ENV WEFT_HOME=/data \
  WEFT_HOST=0.0.0.0:9338 \
  WEFT_MDNS=false \
  ORT_DISABLE_TELEMETRY=1 \
  NODE_ENV=production
USER 9338:9338
WORKDIR /data
VOLUME /data
EXPOSE 9338 9339
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD weft status > /dev/null || exit 1
# Weft is process 1: it takes SIGTERM itself, ends its model processes, and is done within 2 s.
ENTRYPOINT ["weft", "serve"]
