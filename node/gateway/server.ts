// The HTTP server under the gateway: Fastify with every bound set, and what is answered where there is no request yet.
import type { AddressInfo, Socket } from 'node:net';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { WeftError } from '../../protocol/errors.ts';
import { errorBody, HttpError } from './errors.ts';
import type { GatewayLimits } from './limits.ts';

export interface ServerComponents {
  /** A fresh id. */
  requestId(): string;
  /** Bytes that are no request, or a request that doesn't come to its end. Must end the connection. */
  onMalformed(error: NodeJS.ErrnoException, socket: Socket): void;
  /** A request that the router itself refuses. */
  onRefused(error: Error, request: FastifyRequest, reply: FastifyReply): void;
}

/** A server without routes, which reads no body by itself. */
export function createServer(components: ServerComponents, limits: GatewayLimits): FastifyInstance {
  const server = fastify({
    logger: false,
    genReqId: () => components.requestId(),
    requestIdHeader: false,
    trustProxy: false,
    // Ours counts while the bytes arrive (body.ts); this one stands behind it.
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // Silence of the client is no fault while it waits for an answer; the gateway looks at what it leaves unread.
    connectionTimeout: 0,
    maxRequestsPerSocket: 0,
    forceCloseConnections: true,
    return503OnClosing: false,
    routerOptions: { maxParamLength: limits.pathSegmentLengthMax },
    http: {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: limits.timeoutCheckIntervalMs,
      maxHeaderSize: limits.headerBytesMax,
      insecureHTTPParser: false,
      // Refused by the Host guard, with an error that says so.
      requireHostHeader: false,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: limits.tcpKeepAliveMs,
    },
    clientErrorHandler: (error, socket) => components.onMalformed(error, socket),
    frameworkErrors: (error, request, reply) => components.onRefused(error, request, reply),
  });
  const { server: http } = server;
  http.maxConnections = limits.connectionsMax;
  // Node would drop the headers past a number, and with them an Origin; `checkHeaderCount` refuses the request instead.
  http.maxHeadersCount = 0;
  // "100 Continue" is sent once the headers have been accepted, by whoever reads the body.
  http.on('checkContinue', (request, response) => http.emit('request', request, response));
  // No parser reads the body: the endpoint does, when it has decided that it wants one.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', (_request, _payload, done) => done(null));
  return server;
}

/** @throws WeftError `port_in_use`, or `config_invalid` for an address that this machine doesn't have */
export async function listen(
  server: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ readonly url: string; readonly port: number }> {
  try {
    // `localhost` would open a second server for ::1, on which no limit of ours holds.
    await server.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port, backlog: 511 });
  } catch (cause) {
    throw listenError(cause, host, port);
  }
  const bound = server.server.address() as AddressInfo;
  return { url: `http://${reachable(bound)}:${bound.port}`, port: bound.port };
}

function listenError(cause: unknown, host: string, port: number): WeftError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
  if (code === 'EADDRINUSE') {
    return new WeftError(
      { code: 'port_in_use', message: `Port ${port} on ${host} is taken.`, facts: { port: String(port) } },
      { cause },
    );
  }
  return new WeftError(
    {
      code: 'config_invalid',
      message: `The API can't listen on ${host}:${port} (${code}).`,
      remedy: 'Choose another host or port (WEFT_HOST).',
    },
    { cause },
  );
}

/** The bound address as a client on this machine would type it. */
function reachable({ address, family }: AddressInfo): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  if (address === '::') return '[::1]';
  return family === 'IPv6' ? `[${address}]` : address;
}

/** The answer, as bytes, to what came instead of a whole request. */
export function malformedAnswer({ code }: NodeJS.ErrnoException, requestId: string): string {
  const [status, reason, message] =
    code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? ([408, 'Request Timeout', 'The request did not arrive in time.'] as const)
      : code === 'HPE_HEADER_OVERFLOW'
        ? ([431, 'Request Header Fields Too Large', 'The headers are too large.'] as const)
        : ([400, 'Bad Request', 'The bytes are no HTTP request.'] as const);
  const remedy = 'Send a well-formed request, without pauses.';
  const body = JSON.stringify(errorBody(new HttpError(status, { code: 'bad_request', message, remedy }), requestId));
  return [
    `HTTP/1.1 ${status} ${reason}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    'connection: close',
    '',
    body,
  ].join('\r\n');
}
