FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY sdk/src ./sdk/src
COPY routes ./routes
COPY plugins ./plugins
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM node:24-slim
ENV NODE_ENV=production \
    LACTEA_HOST=0.0.0.0 \
    LACTEA_DATA_DIR=/data
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
RUN install --directory --owner=node --group=node --mode=0700 /data node_modules/.cache
USER node
# Compiles everything once, so that each container starts in half the time.
RUN ["node", "dist/src/cli/prepare.js"]
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
# By TLS when it does not answer without; whoever asks the gateway of its own container need not see who it is.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "--no-warnings", "-e", "process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; const at = '//127.0.0.1:' + (process.env.LACTEA_PORT || 3000) + '/health'; const ask = (url) => fetch(url).then((response) => process.exit(response.ok ? 0 : 1)); ask(process.env.HEALTH_URL || 'http:' + at).catch(() => ask('https:' + at)).catch(() => process.exit(1))"]
CMD ["node", "dist/src/main.js", "start"]
