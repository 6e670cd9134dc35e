// One request that was let in, from its headers to the end of its answer: what an endpoint gets. Ends the work when the
// client goes away, when the node stops, and past its deadline.
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { WeftError } from '../../protocol/errors.ts';
import type { RequestId } from '../../protocol/ids.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { RequestOptions } from '../core/coordinator.ts';
import type { CutWish } from '../core/dispatcher.ts';
import type { Priority } from '../core/engine.ts';
import type { RequestTrace } from '../core/trace.ts';
import type { Guards } from './auth.ts';
import { type ByteBudget, checkEncoding, parseJson, readBody } from './body.ts';
import { checkForm, readForm } from './form.ts';
import type { GatewayLimits } from './limits.ts';
import type { Locality } from './locality.ts';
import { ignoredHeader, parseBody, parseLeniently } from './parameters.ts';
import type { OwnSession } from './sessions.ts';
import { EventStream } from './sse.ts';
import type { Urgency } from './urgency.ts';

export interface ExchangeComponents {
  readonly clock: Clock;
  readonly guards: Guards;
  readonly budget: ByteBudget;
  readonly limits: GatewayLimits;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Of an endpoint that is traced. */
  readonly trace?: RequestTrace | undefined;
  /** Of a browser that is signed in. */
  readonly session?: OwnSession | undefined;
}

export interface ExchangeInit {
  /** As the gateway's. */
  readonly lenient: boolean;
  /** As the endpoint's. @default false */
  readonly lasting?: boolean | undefined;
  /** Of work: what its headers say. @default no deadline, interactive */
  readonly urgency?: Urgency | undefined;
  /** Of work as well. @default nothing must stay, and a graph may be cut */
  readonly locality?: Locality | undefined;
  /** As the endpoint's: the deadline is that of a request that isn't made. @default false */
  readonly dryRun?: boolean | undefined;
}

/** An endpoint: what it answers at, and how. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly url: string;
  /** It runs models: its way is noted down from the first byte to the last. */
  readonly traced?: true;
  /** It is answered without a key. */
  readonly open?: true;
  /** It prepares work, or begins what outlives it; it runs no model itself, and takes the headers of those that do. */
  readonly dryRun?: true;
  /** It takes tensors for a graph, which may be cut. */
  readonly graph?: true;
  /** Its body is a form with a file. */
  readonly form?: true;
  /** Its work may take hours: it ends with its client and with the node, and has no deadline. */
  readonly lasting?: true;
  /** Resolves to the JSON body (or text, or a stream) of a 200; to undefined when it has streamed its answer itself. */
  handle(exchange: Exchange): unknown;
}

export class Exchange implements RequestOptions {
  readonly requestId: RequestId;
  readonly signal: AbortSignal;
  readonly reply: FastifyReply;
  readonly trace?: RequestTrace;
  readonly priority?: Priority;
  /** From its arrival, as its header says. */
  readonly deadlineMs?: number;
  readonly leftMs?: () => number;
  readonly cut?: CutWish;
  readonly rawLocal?: true | readonly string[];
  /** Resolves when the answer has been handed to the system, or the connection is gone. */
  readonly closed: Promise<void>;
  readonly #components: ExchangeComponents;
  readonly #lenient: boolean;
  readonly #controller = new AbortController();
  #deadline: Timer | undefined;
  /** Somebody has asked how much time is left: the work is being placed. */
  #placing = false;
  #bytes = 0;

  constructor(components: ExchangeComponents, init: ExchangeInit) {
    const { clock, limits, request, reply } = components;
    this.#components = components;
    this.#lenient = init.lenient;
    this.requestId = request.id;
    this.reply = reply;
    this.signal = this.#controller.signal;
    if (components.trace !== undefined) this.trace = components.trace;
    const { deadlineMs, priority } = init.urgency ?? {};
    if (priority !== undefined) this.priority = priority;
    const { cut, rawLocal } = init.locality ?? {};
    if (cut !== undefined) this.cut = cut;
    if (rawLocal !== undefined) this.rawLocal = rawLocal;
    if (deadlineMs !== undefined) {
      const untilMs = clock.now() + deadlineMs;
      this.deadlineMs = deadlineMs;
      this.leftMs = () => {
        this.#placing = true;
        return untilMs - clock.now();
      };
    }
    if (init.lasting !== true) {
      const { answerMsMax } = limits;
      const asked = init.dryRun === true ? undefined : deadlineMs;
      const message =
        asked !== undefined && asked < answerMsMax
          ? `The whole answer was not here within ${asked} ms, as it was asked to be.`
          : 'The request took too long.';
      const end = (): void => this.abort(new WeftError({ code: 'deadline_exceeded', message }));
      this.#deadline = clock.after(Math.min(answerMsMax, asked ?? answerMsMax), () => {
        if (asked === undefined || this.#placing) end();
        else this.#deadline = clock.after(limits.unplacedMsMax, end);
      });
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    reply.raw.once('close', () => {
      this.#deadline?.cancel();
      if (!reply.raw.writableFinished)
        this.abort(new WeftError({ code: 'cancelled', message: 'The client went away.' }));
      components.budget.give(this.#bytes);
      this.#bytes = 0;
      resolve();
    });
  }

  /** Parameter of the path that stands for its rest. */
  get wildcard(): string {
    return (this.#components.request.params as { '*'?: string })['*'] ?? '';
  }

  /** Of the browser that asks by its cookie; undefined where the key lets the caller in. */
  get session(): OwnSession | undefined {
    return this.#components.session;
  }

  get headers(): IncomingHttpHeaders {
    return this.#components.request.headers;
  }

  /** A named parameter of the path. */
  parameter(name: string): string {
    return (this.#components.request.params as Record<string, string>)[name] ?? '';
  }

  /** The query, checked. @throws WeftError as {@link parseBody} does */
  readQuery<Schema extends z.ZodType>(schema: Schema): z.output<Schema> {
    return parseBody(schema, { ...(this.#components.request.query as object) });
  }

  /** Ends the work. Only the first reason counts. */
  abort(reason: WeftError): void {
    this.#controller.abort(reason);
  }

  /** What the client should see of a failure: where the work ended because it was told to, that reason. */
  reasonOf(error: unknown): unknown {
    return this.signal.aborted ? this.signal.reason : error;
  }

  /**
   * The body, checked. Its memory counts until the exchange is over.
   * @throws WeftError as {@link readBody}, {@link parseJson} and {@link parseBody} do; `forbidden` for another type
   */
  async readJson<Schema extends z.ZodType>(schema: Schema): Promise<z.output<Schema>> {
    return parseBody(schema, await this.#read());
  }

  /**
   * As {@link readJson}, for OpenAI's API: where the gateway is lenient, parameters that are unknown or not supported are
   * dropped, and named in the answer's headers.
   */
  async readParameters<Schema extends z.ZodType>(schema: Schema): Promise<z.output<Schema>> {
    return this.#checked(schema, await this.#read());
  }

  /**
   * The body as a form, checked as {@link readParameters} does: texts by name, and the bytes of its file.
   * @throws WeftError as {@link readForm} and {@link parseBody} do; HttpError 415 for another type
   */
  async readForm<Schema extends z.ZodType>(schema: Schema): Promise<z.output<Schema>> {
    const { limits, request, reply } = this.#components;
    checkForm(request);
    checkEncoding(request.raw);
    return this.#checked(schema, await readForm(request, reply, limits, (count) => this.#take(count)));
  }

  #checked<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
    if (!this.#lenient) return parseBody(schema, body);
    const { value, ignored } = parseLeniently(schema, body);
    if (ignored.length > 0) this.reply.header('x-weft-ignored', ignoredHeader(ignored));
    return value;
  }

  async #read(): Promise<unknown> {
    const { guards, limits, request, reply } = this.#components;
    guards.contentType(request.headers);
    checkEncoding(request.raw);
    const bytes = await readBody(request.raw, reply.raw, limits, (count) => this.#take(count));
    return parseJson(bytes, limits);
  }

  /** Memory of the body, which counts until the exchange is over. */
  #take(bytes: number): void {
    this.signal.throwIfAborted();
    this.#components.budget.take(bytes);
    this.#bytes += bytes;
  }

  /** An answer as server-sent events. The endpoint opens it when it knows its headers. */
  eventStream(): EventStream {
    return new EventStream(
      { response: this.reply.raw },
      { bufferBytesMax: this.#components.limits.streamBufferBytesMax },
    );
  }
}
