# The registry. To pull and run images, install Dray on the machine that runs them: a container has neither the
# mounts nor the OCI runtime for that.

FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
# Without scripts: the image's Node is the right one, and esbuild's own binary needs none.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node scripts/build.ts

FROM node:24-bookworm-slim
COPY --from=build /src/LICENSE /src/package.json /opt/dray/
COPY --from=build /src/bin /opt/dray/bin
COPY --from=build /src/dist /opt/dray/dist
RUN ln -s /opt/dray/bin/dray /usr/local/bin/dray \
  && install --directory --owner=node --group=node --mode=0700 /var/lib/dray
USER node
VOLUME /var/lib/dray
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["node", "--eval", "fetch('http://127.0.0.1:5000/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["dray", "serve"]
# The network of a container decides who reaches it: publish the port on a loopback address, or configure auth.
CMD ["--listen", "0.0.0.0:5000", "--data", "/var/lib/dray", "--open-to-anyone", "--plain-http"]
