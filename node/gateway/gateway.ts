// The node's HTTP server: OpenAI's API, the control API, health and metrics on one port. Made and started by the
// composition root. What each endpoint does is in the file of its name; what may reach one at all is decided here.
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import { WeftError } from '../../protocol/errors.ts';
import { type Clock, delay, type Random } from '../core/clock.ts';
import type { NodeControl } from '../core/control.ts';
import type { Conversations } from '../core/conversations.ts';
import type { Coordinator } from '../core/coordinator.ts';
import { DrainRate } from '../core/drain-rate.ts';
import { EventFeed } from '../core/event-feed.ts';
import type { Log } from '../core/log.ts';
import type { ManagedNodes } from '../core/manage.ts';
import type { SignInLink } from '../core/sessions.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Traces } from '../core/trace.ts';
import type { AnswersComponents } from './answers.ts';
import { checkHeaderCount, createGuards, type Guards } from './auth.ts';
import { ByteBudget, linger } from './body.ts';
import { chatCompletions } from './chat-completions.ts';
import { completions } from './completions.ts';
import { control } from './control.ts';
import { conversations } from './conversations.ts';
import { cuts } from './cuts.ts';
import { embeddings } from './embeddings.ts';
import { errorBody, HttpError, quotedMs, retryAfter, toClientError } from './errors.ts';
import { events } from './events.ts';
import { type Endpoint, Exchange } from './exchange.ts';
import { formOptions } from './form.ts';
import { OPEN_PATHS, registerHealth } from './health.ts';
import { history } from './history.ts';
import { newId } from './ids.ts';
import { infer } from './infer.ts';
import { GATEWAY_LIMITS, type GatewayLimits, SIGN_IN_LIMITS } from './limits.ts';
import { localityOf } from './locality.ts';
import { metrics } from './metrics.ts';
import { models } from './models.ts';
import { managedNodes } from './nodes.ts';
import { OneTimeTokens } from './one-time-tokens.ts';
import { openApi } from './openapi.ts';
import { plans } from './plans.ts';
import { rerank } from './rerank.ts';
import { ResponseStore } from './response-store.ts';
import { responses } from './responses.ts';
import { createServer, listen, malformedAnswer } from './server.ts';
import { session } from './session.ts';
import { admitCaller, cookieName } from './session-guard.ts';
import { type OwnSession, Sessions } from './sessions.ts';
import { SignInRate } from './sign-in-rate.ts';
import { transcriptions } from './transcriptions.ts';
import { opensPage, PAGE_ROUTES, type PagesInit, registerPages } from './ui.ts';
import { urgencyOf } from './urgency.ts';

export interface GatewayComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly coordinator: Coordinator;
  readonly conversations: Conversations;
  readonly control: NodeControl;
  /** Every node of the mesh, managed from here. */
  readonly nodes: ManagedNodes;
  readonly traces: Traces;
  /** Browsers that are signed in. @default none, and they end with the gateway */
  readonly sessions?: Sessions;
  /** Tests take tokens that can be used twice. @default new OneTimeTokens(components) */
  readonly tokens?: OneTimeTokens;
  /** Tests leave a guard out to show what it stops. @default createGuards(init) */
  readonly guards?: Guards;
  /** Tests shorten waits and lift bounds. @default GATEWAY_LIMITS */
  readonly limits?: Partial<GatewayLimits>;
}

export interface GatewayInit {
  /** Name or address to listen on, such as 127.0.0.1. */
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** The key of the day: a new one counts from the next request on. */
  readonly apiKey: () => string;
  /** Web origins that may call, beside the node's own pages. */
  readonly origins: () => readonly string[];
  readonly nodeId: string;
  readonly name: string;
  /**
   * Drops parameters of OpenAI's API that are unknown or not supported, and names them in `x-weft-ignored`, instead of
   * refusing the request.
   */
  readonly lenient: () => boolean;
  /** The node's own pages. @default none */
  readonly pages?: PagesInit;
}

const CORS_EXPOSED = [
  'x-request-id',
  'x-weft-trace',
  'x-weft-node',
  'x-weft-node-name',
  'x-weft-truncated',
  'x-weft-ignored',
  'x-weft-quoted-ms',
  'retry-after',
].join(', ');

/** Statuses that say no to whoever asks, or to everybody for now. */
const REJECTIONS: ReadonlySet<number> = new Set([401, 403, 429, 503]);

/** How long a refusal for want of room is given again: Retry-After counts whole seconds. */
const REFUSAL_MS = 500;

/** What a client may try at an address; others get no further than the router. */
const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

export class Gateway {
  readonly #components: GatewayComponents;
  readonly #init: GatewayInit;
  readonly #limits: GatewayLimits;
  readonly #guards: Guards;
  readonly #budget: ByteBudget;
  readonly #server: FastifyInstance;
  readonly #sessions: Sessions;
  readonly #tokens: OneTimeTokens;
  readonly #cookie: string;
  readonly #exchanges = new Set<Exchange>();
  readonly #drain: DrainRate;
  #refusal: { readonly error: WeftError; readonly atMs: number } | undefined;
  #endpoints: readonly Endpoint[] = [];
  /** Routes that ask nobody who they are. */
  #openRoutes: ReadonlySet<string> = new Set();
  /** Of browsers that are signed in, by the request that they were let in with. */
  readonly #callers = new WeakMap<FastifyRequest, OwnSession>();
  /** Under way without a key. */
  #strangers = 0;
  #url = '';
  /** Answers under way by connection: several where a client sends requests ahead. */
  readonly #answering = new WeakMap<Duplex, Set<ServerResponse>>();
  #stopped: Promise<void> | undefined;

  /** @throws WeftError `config_invalid` when the key is missing, or too weak for where the server listens */
  constructor(components: GatewayComponents, init: GatewayInit) {
    this.#guards = components.guards ?? createGuards(init);
    this.#guards.listen();
    this.#components = components;
    this.#drain = new DrainRate(components);
    this.#init = init;
    this.#limits = { ...GATEWAY_LIMITS, ...components.limits };
    this.#budget = new ByteBudget(this.#limits.bodiesBytesMax);
    this.#cookie = cookieName(init.nodeId);
    this.#tokens = components.tokens ?? new OneTimeTokens(components);
    this.#sessions = components.sessions ?? new Sessions(components, init);
    this.#sessions.onEnd((id) => this.#signedOut(id));
    this.#server = createServer(
      {
        requestId: () => this.#newId(),
        onMalformed: (error, socket) => this.#clientError(error, socket),
        onRefused: (error, request, reply) => this.#answerError(error, request, reply),
      },
      this.#limits,
    );
    this.#register(this.#server);
  }

  /** What is answered, and where; the health checks beside it. */
  get endpoints(): readonly Pick<Endpoint, 'method' | 'url'>[] {
    return this.#endpoints;
  }

  /** Requests with a valid key that are not answered yet. */
  get requestsInFlight(): number {
    return this.#exchanges.size;
  }

  /** @throws WeftError `port_in_use`, or `config_invalid` for an address that this machine doesn't have */
  async start(): Promise<{ readonly url: string; readonly port: number }> {
    const bound = await listen(this.#server, this.#init);
    this.#url = bound.url;
    return bound;
  }

  /**
   * A link that signs one browser in to the node's pages, once.
   * @param init.ttlMs until it is void
   */
  signInLink({ ttlMs }: { readonly ttlMs: number }): SignInLink {
    const { token, expiresAtMs } = this.#tokens.make({ ttlMs });
    return { url: `${this.#url}/#/sign-in/${token}`, expiresAtMs };
  }

  /** The API key is another: whoever came in by the old one, or has a link that was made by it, is out. */
  signOutAll(): void {
    this.#tokens.voidAll();
    this.#sessions.endAll();
  }

  /** Ends every request under way with `stopping`, and closes all connections, within a second. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<void> {
    const reason = stopping();
    const open = [...this.#exchanges];
    for (const exchange of open) exchange.abort(reason);
    const waited = new AbortController();
    await Promise.race([
      Promise.all(open.map(({ closed }) => closed)),
      delay(this.#components.clock, this.#limits.stopMs, waited.signal),
    ]);
    waited.abort();
    await this.#server.close();
  }

  #register(server: FastifyInstance): void {
    const { clock, random, coordinator, telemetry, control: nodeControl } = this.#components;
    const nameOf = (node: string): string | undefined =>
      node === this.#init.nodeId ? this.#init.name : nodeControl.peers().find((peer) => peer.node === node)?.name;

    server.addHook('onRequest', async (request, reply) => this.#admit(request, reply));
    server.setErrorHandler((error, request, reply) => this.#answerError(error, request, reply));
    server.setNotFoundHandler((request) => {
      throw new WeftError({ code: 'not_found', message: `There is no ${request.method} at this address.` });
    });

    registerHealth(server);
    registerPages(server, this.#init.pages ?? { folder: undefined });
    const answers: AnswersComponents = {
      clock,
      random,
      coordinator,
      nameOf,
      version: () => nodeControl.status().version,
      failure: (error, exchange) => {
        const reason = exchange.reasonOf(error);
        endTrace(exchange, reason);
        return errorBody(this.#report(reason, exchange.reply), exchange.requestId);
      },
    };
    this.#endpoints = [
      chatCompletions(answers),
      completions(answers),
      ...responses({ ...answers, store: new ResponseStore({ clock }, this.#limits) }),
      embeddings({ coordinator, nameOf }),
      rerank({ coordinator, nameOf }),
      ...transcriptions({ coordinator, nameOf, failure: answers.failure }),
      ...models({ coordinator, created: Math.floor(clock.wallNow() / 1_000) }),
      metrics({ telemetry }),
      ...session(
        {
          sessions: this.#sessions,
          tokens: this.#tokens,
          rate: new SignInRate({ clock }),
          guards: this.#guards,
          link: () => this.signInLink({ ttlMs: SIGN_IN_LIMITS.linkMs }),
        },
        { cookie: this.#cookie },
      ),
      ...control({ control: nodeControl, coordinator }),
      ...conversations({ clock, conversations: this.#components.conversations, limits: this.#limits }),
      ...managedNodes({ nodes: this.#components.nodes }),
      ...events({
        feed: new EventFeed({ clock, random, events: nodeControl.events, pulses: nodeControl.pulses }),
        nodes: this.#components.nodes,
        limits: this.#limits,
      }),
      history(nodeControl),
      infer({ coordinator, nameOf }),
      ...plans({ coordinator, control: nodeControl, self: this.#init.nodeId }),
      cuts(nodeControl),
      openApi({ version: () => nodeControl.status().version }),
    ];
    this.#openRoutes = new Set(
      this.#endpoints.filter(({ open }) => open === true).map(({ method, url }) => `${method} ${url}`),
    );
    const route = (scope: FastifyInstance, endpoint: Endpoint): void => {
      const { method, url } = endpoint;
      scope.route({ method, url, handler: (request, reply) => this.#handle(endpoint, request, reply) });
    };
    for (const endpoint of this.#endpoints) if (endpoint.form !== true) route(server, endpoint);
    // In a scope of their own: no other endpoint is to understand forms.
    void server.register(async (scope) => {
      await scope.register(multipart, formOptions(this.#limits));
      for (const endpoint of this.#endpoints) if (endpoint.form === true) route(scope, endpoint);
    });
    for (const [url, own] of Map.groupBy(this.#endpoints, (endpoint) => endpoint.url)) {
      refuseOtherMethods(server, url, new Set(own.map(({ method }) => method)));
    }
  }

  /** Decides on the headers alone. Runs for every request, those to unknown addresses included. */
  #admit(request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
    this.#watch(request, reply);
    reply.headers({ 'x-request-id': request.id, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    checkHeaderCount(request.raw, this.#limits.headersMax);
    this.#guards.host(request.headers);
    const { url = '' } = request.routeOptions;
    // A link on another page may lead here: it can neither read nor frame what it opens.
    if (url === '/' && opensPage(request.headers)) return undefined;
    const origin = this.#guards.origin(request.headers);
    if (origin !== undefined) {
      reply.headers({
        vary: 'origin',
        'access-control-allow-origin': origin,
        'access-control-expose-headers': CORS_EXPOSED,
      });
      if (request.method === 'OPTIONS') return preflight(reply);
    }
    if (this.#stopped !== undefined) throw stopping();
    if (OPEN_PATHS.has(url) || PAGE_ROUTES.has(url) || this.#openRoutes.has(`${request.method} ${url}`))
      return undefined;
    const components = { guards: this.#guards, sessions: this.#sessions };
    const caller = admitCaller(components, { cookie: this.#cookie }, request);
    if (caller !== undefined) this.#callers.set(request, caller);
    return undefined;
  }

  /** What the browser still watches ends with its session. */
  #signedOut(id: string): void {
    const reason = new WeftError({ code: 'unauthorized', message: 'The session has ended.' });
    for (const exchange of this.#exchanges) if (exchange.session?.id === id) exchange.abort(reason);
  }

  async #handle(endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const { open = false } = endpoint;
    const limits = open ? strangersLimits(this.#limits) : this.#limits;
    const underWay = this.#exchanges.size;
    const full = underWay >= limits.requestsInFlightMax || (open && this.#strangers >= limits.signInsInFlightMax);
    if (full) throw this.#overloaded(underWay);
    const { clock } = this.#components;
    const { traced, dryRun, lasting, graph = false } = endpoint;
    const isWork = traced === true || dryRun === true;
    const urgency = isWork ? urgencyOf(request.headers) : undefined;
    const nodes = () => [{ node: this.#init.nodeId, name: this.#init.name }, ...this.#components.control.peers()];
    const locality = isWork ? localityOf(request.headers, graph, nodes) : undefined;
    const trace = this.#beginTrace(endpoint, request, reply);
    const exchange = new Exchange(
      {
        clock,
        guards: this.#guards,
        budget: this.#budget,
        limits,
        request,
        reply,
        trace,
        session: this.#callers.get(request),
      },
      { lenient: this.#init.lenient(), lasting, urgency, locality, dryRun },
    );
    this.#exchanges.add(exchange);
    if (open) this.#strangers += 1;
    void exchange.closed.then(() => {
      this.#exchanges.delete(exchange);
      if (open) this.#strangers -= 1;
      this.#drain.left();
    });
    try {
      const answer = await endpoint.handle(exchange);
      trace?.end({ status: 'ok' });
      return answer === undefined ? reply : answer;
    } catch (error) {
      const reason = exchange.reasonOf(error);
      endTrace(exchange, reason);
      throw reason;
    }
  }

  /** Made anew now and then: with a stack in each, refusing would cost what serving should have. */
  #overloaded(underWay: number): WeftError {
    const { clock } = this.#components;
    const made = this.#refusal;
    if (made !== undefined && clock.now() - made.atMs < REFUSAL_MS) return made.error;
    const retryAfterMs = String(this.#drain.retryAfterMs(underWay));
    const message = 'Too many requests are under way.';
    const error = new WeftError({ code: 'overloaded', message, facts: { retryAfterMs } });
    this.#refusal = { error, atMs: clock.now() };
    return error;
  }

  #beginTrace({ traced, method, url }: Endpoint, request: FastifyRequest, reply: FastifyReply) {
    if (traced !== true) return undefined;
    const { traceparent } = request.headers;
    const trace = this.#components.traces.begin({
      requestId: request.id,
      name: `${method} ${url}`,
      traceParent: typeof traceparent === 'string' ? traceparent : undefined,
    });
    reply.header('x-weft-trace', trace.traceParent.split('-')[1]);
    return trace;
  }

  /** Whatever becomes of a request: it is counted once, its client is not waited for, its connection is left clean. */
  #watch({ raw, method, routeOptions }: FastifyRequest, reply: FastifyReply): void {
    const { clock, telemetry } = this.#components;
    const response = reply.raw;
    const begunAt = clock.now();
    const answering = this.#answering.get(raw.socket) ?? new Set();
    this.#answering.set(raw.socket, answering.add(response));
    // Fires after so long without a byte moving. Waiting for work is no fault; leaving an answer unread is.
    response.setTimeout(this.#limits.stallMs, () => {
      if (response.writableLength > 0) response.destroy();
    });
    response.once('finish', () => {
      if (!raw.complete) linger(raw, this.#limits);
    });
    response.once('close', () => {
      answering.delete(response);
      const endpoint = routeOptions.url ?? 'unknown';
      const status = response.writableFinished ? String(response.statusCode) : 'aborted';
      telemetry.count('weft_requests_total', { endpoint, method, status });
      telemetry.observe('weft_request_duration_seconds', (clock.now() - begunAt) / 1_000, { endpoint });
    });
  }

  #answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const error = this.#report(thrown, reply);
    if (REJECTIONS.has(error.status))
      this.#components.telemetry.count('weft_requests_rejected_total', { reason: error.code });
    const seconds = retryAfter(error);
    if (seconds !== undefined) reply.header('retry-after', seconds);
    const quoted = quotedMs(error);
    if (quoted !== undefined) reply.header('x-weft-quoted-ms', String(quoted));
    if (error.status === 401) reply.header('www-authenticate', 'Bearer');
    return reply
      .status(error.status)
      .headers({ 'x-request-id': request.id, 'content-type': 'application/json; charset=utf-8' })
      .send(errorBody(error, request.id));
  }

  /** Logs a failure by its weight, and gives what the client may see of it. */
  #report(thrown: unknown, { request }: FastifyReply): WeftError {
    const error = toClientError(thrown);
    const fields = { requestId: request.id, method: request.method, endpoint: request.routeOptions.url };
    const { log } = this.#components;
    if (error.code === 'internal') log.error({ ...fields, err: thrown }, 'request failed inside the node');
    else if (error.status >= 500) log.warn({ ...fields, code: error.code, facts: error.facts }, 'request failed');
    else log.debug({ ...fields, code: error.code, facts: error.facts }, 'request refused');
    return error;
  }

  /** Bytes that are no request, or a request that doesn't come to its end. */
  #clientError(cause: NodeJS.ErrnoException, socket: Socket): void {
    const busy = [...(this.#answering.get(socket) ?? [])].some(({ headersSent }) => headersSent);
    // In the midst of another answer, one more would be taken for a part of it.
    if (socket.writable && !busy && cause.code !== 'ECONNRESET') socket.write(malformedAnswer(cause, this.#newId()));
    socket.destroy();
  }

  #newId(): string {
    return newId(this.#components.random, 'req_');
  }
}

/** Of whoever has no key yet. */
function strangersLimits(limits: GatewayLimits): GatewayLimits {
  return { ...limits, bodyBytesMax: limits.signInBytesMax, answerMsMax: limits.signInMsMax };
}

/** Only the first end of a trace counts. */
function endTrace({ trace }: Exchange, reason: unknown): void {
  const { code } = toClientError(reason);
  trace?.end({ status: code === 'cancelled' ? 'cancelled' : 'error', code });
}

/** Answers 405 to what an address doesn't take. */
function refuseOtherMethods(server: FastifyInstance, url: string, own: ReadonlySet<string>): void {
  const methods = own.has('GET') ? [...own, 'HEAD'] : [...own];
  server.route({
    method: METHODS.filter((method) => !methods.includes(method)),
    url,
    handler: (_request, reply) => {
      reply.header('allow', methods.join(', '));
      const names = [...own].join(' or ');
      throw new HttpError(405, {
        code: 'not_found',
        message: `This address takes ${names} only.`,
        remedy: `Send the request with ${names}.`,
      });
    },
  });
}

function preflight(reply: FastifyReply): FastifyReply {
  return reply
    .headers({
      'access-control-allow-methods': 'GET, POST, PATCH, DELETE',
      // The wildcard holds for all but the key. Clients of OpenAI's send a dozen headers of their own.
      'access-control-allow-headers': 'authorization, *',
      'access-control-max-age': '600',
    })
    .status(204)
    .send();
}

function stopping(): WeftError {
  return new WeftError({ code: 'stopping', message: 'The node is stopping.' });
}
