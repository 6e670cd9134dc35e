// The caller's side of a link: opens calls, hands out their answers in order, gives them up in time. Used by node/mesh
// for peers and by node/engine for runners. Whoever owns the link pushes what comes in and writes what goes out.
import type { Load } from '../../protocol/capability.ts';
import { type Codec, errorFromMessage, loadFromMessage, type Parts } from '../../protocol/codec.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import { encodeFrames, FrameReader, TensorAssembler } from '../../protocol/frame.ts';
import type { FrameHeader, HeaderKind } from '../../protocol/header.ts';
import type { RequestId } from '../../protocol/ids.ts';
import { CALLS_PER_LINK_MAX } from '../../protocol/limits.ts';
import type { AnyMethod, MethodSpec } from '../../protocol/methods.ts';
import { assert } from './assert.ts';
import type { Clock, Timer } from './clock.ts';
import type { Priority } from './engine.ts';
import { type FrameWriter, type Incoming, writeFrames } from './frame-writer.ts';

export interface CallOptions<Item> {
  readonly signal: AbortSignal;
  readonly requestId: RequestId;
  /** For the whole call; at most, and by default, the method's own bound. */
  readonly budgetMs?: number | undefined;
  /** W3C traceparent of the caller's span, for the other side's record of the request. */
  readonly traceParent?: string | undefined;
  /** What goes before what on the other side. @default 'interactive' */
  readonly priority?: Priority | undefined;
  /** The other side declines, before any work, what it predicts to take longer than this from its arrival there. */
  readonly withinMs?: number | undefined;
  /** Request written → acknowledged, else `peer_timeout`; absent = no acknowledgement is expected. */
  readonly ackTimeoutMs?: number | undefined;
  /** The request is there in full; called at most once. */
  readonly onAck?: ((load: Load | undefined) => void) | undefined;
  /** Tensor bytes of an answer or item have come, so many: a sign of life of one that takes long. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /** Elements of a streamed answer, in order; never after the response has settled. What it throws fails the call. */
  readonly onItem?: ((item: Item) => void) | undefined;
  /** Load in the final answer, also in that of a call which was given up. */
  readonly onLoad?: ((load: Load) => void) | undefined;
}

/** A call under way. */
export interface OpenCall<Response> {
  readonly response: Promise<Response>;
  /**
   * Resolves once the other side is done with it too (also after a cancellation): the link is free for the next. The
   * other side decides when, so whoever owns the link bounds the wait, and closes the link after it.
   */
  readonly settled: Promise<void>;
}

interface ClientCall {
  readonly id: number;
  readonly method: AnyMethod;
  readonly options: CallOptions<never>;
  readonly resolve: (response: never) => void;
  readonly reject: (error: WeftError) => void;
  readonly settle: () => void;
  readonly onAbort: () => void;
  budgetTimer: Timer | undefined;
  ackTimer: Timer | undefined;
  acknowledged: boolean;
  nextItem: number;
  incoming: Incoming | undefined;
  /** The caller has its answer or its error already; at most the other side's last frame is awaited. */
  abandoned: boolean;
}

const invalid = (message: string): WeftError => new WeftError({ code: 'frame_invalid', message });

/** Opens calls on a link and hands out their answers. */
export class CallClient {
  readonly #writer: FrameWriter;
  readonly #clock: Clock;
  readonly #calls = new Map<number, ClientCall>();
  readonly #reader: FrameReader;
  #nextId = 1;
  #closed: WeftError | undefined;
  #receiving: ClientCall | undefined;

  constructor(components: { readonly writer: FrameWriter; readonly clock: Clock }) {
    this.#writer = components.writer;
    this.#clock = components.clock;
    this.#reader = new FrameReader({
      header: (header, bodyBytes) => this.#onHeader(header, bodyBytes),
      body: (piece) => this.#onBody(piece),
    });
  }

  /** Calls whose last frame has not come. */
  get open(): number {
    return this.#calls.size;
  }

  /** Bytes from the link, which must not change afterwards. @throws WeftError `frame_invalid`: close the link then */
  push(chunk: Uint8Array): void {
    if (this.#closed === undefined) this.#reader.push(chunk);
  }

  /** The link is gone: every open call fails with this. */
  close(error: WeftError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    for (const call of [...this.#calls.values()]) {
      this.#fail(call, error);
      this.#remove(call);
    }
  }

  /** Begins a call; failures arrive by `response`. */
  call<Request, Item, Response>(
    method: MethodSpec<Request, Item, Response>,
    request: Request,
    options: CallOptions<Item>,
  ): OpenCall<Response> {
    if (this.#closed !== undefined) return failed(this.#closed);
    if (options.signal.aborted) return failed(toAbortError(options.signal));
    if (this.#calls.size >= CALLS_PER_LINK_MAX) {
      return failed(new WeftError({ code: 'overloaded', message: 'Too many calls are open on this link.' }));
    }
    const { promise: response, resolve, reject } = Promise.withResolvers<Response>();
    const { promise: settled, resolve: settle } = Promise.withResolvers<void>();
    response.catch(handledByTheCaller);
    const budgetMs = Math.max(1, Math.min(options.budgetMs ?? Number.POSITIVE_INFINITY, method.timeouts.totalMs));
    const call: ClientCall = {
      id: this.#takeId(),
      method,
      options,
      resolve,
      reject,
      settle,
      onAbort: () => this.#giveUp(call, toAbortError(options.signal)),
      budgetTimer: this.#clock.after(budgetMs, () => this.#giveUp(call, lateAnswer(budgetMs))),
      ackTimer: undefined,
      acknowledged: false,
      nextItem: 0,
      incoming: undefined,
      abandoned: false,
    };
    this.#calls.set(call.id, call);
    options.signal.addEventListener('abort', call.onAbort, { once: true });
    this.#send(call, request, Math.ceil(budgetMs));
    return { response, settled };
  }

  /** Ids come round after 2^32 calls; one that is still open then is left out. */
  #takeId(): number {
    while (this.#calls.has(this.#nextId)) this.#nextId = following(this.#nextId);
    const id = this.#nextId;
    this.#nextId = following(id);
    return id;
  }

  #send(call: ClientCall, request: unknown, budgetMs: number): void {
    const { method, options } = call;
    const lost = (error: unknown): void => {
      this.#fail(call, toWeftError(error));
      this.#remove(call);
    };
    try {
      const { payload, tensors } = method.request.encode(request);
      const { requestId, traceParent = '' } = options;
      const value = {
        method: method.id,
        version: method.version,
        budgetMs,
        requestId,
        traceParent,
        payload,
        withinMs: conditionOf(options.withinMs),
        priority: options.priority === 'batch' ? 1 : 0,
      };
      const frames = encodeFrames(call.id, { case: 'call', value }, tensors, method.quota.requestBytesMax);
      // A call that was given up or refused meanwhile has no use for the rest of its request.
      const sent = writeFrames(this.#writer, frames, () => !call.abandoned);
      if (sent === undefined) this.#awaitAck(call);
      else sent.then(() => this.#awaitAck(call), lost);
    } catch (error) {
      lost(error);
    }
  }

  #awaitAck(call: ClientCall): void {
    const { ackTimeoutMs } = call.options;
    if (ackTimeoutMs === undefined || call.acknowledged || call.abandoned) return;
    call.ackTimer = this.#clock.after(ackTimeoutMs, () => this.#giveUp(call, lateAck(ackTimeoutMs)));
  }

  /** Ends a call for its caller, and tells the other side. */
  #giveUp(call: ClientCall, error: WeftError): void {
    if (call.abandoned) return;
    this.#fail(call, error);
    try {
      const kind: HeaderKind = { case: 'cancel', value: { reason: error.code } };
      writeFrames(this.#writer, encodeFrames(call.id, kind), () => true)?.catch(() => this.#remove(call));
    } catch {
      // The link is gone, and with it all that was awaited.
      this.#remove(call);
    }
  }

  #onHeader(header: FrameHeader, bodyBytes: number): void {
    const call = this.#closed === undefined ? this.#calls.get(header.callId) : undefined;
    this.#receiving = call;
    // The last frames of a call that failed here may still arrive; their bodies are passed over.
    if (call === undefined) return;
    const { kind } = header;
    switch (kind.case) {
      case 'ack':
        if (bodyBytes > 0) throw invalid('An acknowledgement has no body.');
        this.#onAck(call, loadFromMessage(kind.value.load));
        return;
      case 'fault':
        // It may come in the middle of a message, which it ends.
        if (bodyBytes > 0) throw invalid('A fault has no body.');
        call.incoming = undefined;
        this.#conclude(call, loadFromMessage(kind.value.load), () => {
          throw errorFromMessage(kind.value.error);
        });
        return;
      case 'item':
      case 'end':
        if (call.incoming !== undefined) throw invalid('A message began inside another.');
        call.incoming = this.#assemble(call, header);
        break;
      case 'more':
        if (call.incoming === undefined || bodyBytes === 0) throw invalid('Nothing to continue.');
        break;
      default:
        throw invalid(`A caller can't be sent "${kind.case}".`);
    }
    if (call.incoming === undefined) return;
    const { missing } = call.incoming.tensors;
    if (bodyBytes > missing) throw invalid('More tensor bytes come than the header declares.');
    if (missing === 0) this.#deliver(call, call.incoming);
  }

  /** @returns nothing for tensors that can't be taken: the call fails then, and what belongs to it is passed over */
  #assemble(call: ClientCall, header: FrameHeader): Incoming | undefined {
    try {
      const tensors = new TensorAssembler(header.tensors, call.method.quota.answerBytesMax);
      if (call.abandoned) tensors.discard();
      return { header, tensors };
    } catch (error) {
      this.#giveUp(call, toWeftError(error));
      this.#remove(call);
      return undefined;
    }
  }

  #onBody(piece: Uint8Array): void {
    const call = this.#receiving;
    const incoming = call?.incoming;
    if (call === undefined || incoming === undefined) return;
    incoming.tensors.write(piece);
    if (call.options.onBytes !== undefined && !call.abandoned) {
      this.#guard(call, () => call.options.onBytes?.(piece.byteLength));
    }
    if (incoming.tensors.missing === 0) this.#deliver(call, incoming);
  }

  #onAck(call: ClientCall, load: Load | undefined): void {
    if (call.acknowledged || call.abandoned) return;
    call.acknowledged = true;
    call.ackTimer?.cancel();
    this.#guard(call, () => call.options.onAck?.(load));
  }

  /** Runs what may fail for one call without the others' being touched. */
  #guard(call: ClientCall, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#giveUp(call, toWeftError(error));
    }
  }

  #deliver(call: ClientCall, { header, tensors }: Incoming): void {
    call.incoming = undefined;
    const { kind } = header;
    if (kind.case === 'item') {
      if (call.abandoned) return;
      const { sequence, payload } = kind.value;
      this.#guard(call, () => {
        if (sequence !== call.nextItem) throw invalid(`Item ${call.nextItem} is missing.`);
        call.nextItem++;
        const item = decoded(call.method.item, { payload, tensors: tensors.finish() });
        call.options.onItem?.(item as never);
      });
      return;
    }
    assert(kind.case === 'end', 'only items and answers are assembled here');
    const { payload, load } = kind.value;
    this.#conclude(call, loadFromMessage(load), () => {
      if (call.abandoned) return;
      call.resolve(decoded(call.method.response, { payload, tensors: tensors.finish() }) as never);
    });
  }

  #conclude(call: ClientCall, load: Load | undefined, answer: () => void): void {
    try {
      if (load !== undefined) call.options.onLoad?.(load);
      answer();
    } catch (error) {
      this.#fail(call, toWeftError(error));
    }
    this.#remove(call);
  }

  #fail(call: ClientCall, error: WeftError): void {
    call.incoming?.tensors.discard();
    call.reject(error);
    this.#abandon(call);
  }

  #remove(call: ClientCall): void {
    if (!this.#calls.delete(call.id)) return;
    this.#abandon(call);
    call.settle();
  }

  #abandon(call: ClientCall): void {
    call.abandoned = true;
    call.budgetTimer?.cancel();
    call.ackTimer?.cancel();
    call.options.signal.removeEventListener('abort', call.onAbort);
  }
}

/** Whatever is wrong with an answer is the fault of whoever gave it, never of the request: another one may do better. */
function decoded<T>(codec: Codec<T>, parts: Parts): T {
  try {
    return codec.decode(parts);
  } catch (cause) {
    throw new WeftError({ code: 'frame_invalid', message: toWeftError(cause).message }, { cause });
  }
}

/** As it is written: whole milliseconds, 0 = none. Times are spans, never points in time: no two clocks need agree. */
function conditionOf(withinMs: number | undefined): number {
  if (withinMs === undefined || !(withinMs <= CONDITION_MS_MAX)) return 0;
  return Math.max(1, Math.ceil(withinMs));
}

/** What a condition may say: a longer one is none. */
const CONDITION_MS_MAX = 0xffff_ffff;

const following = (id: number): number => (id === 0xffff_ffff ? 1 : id + 1);

function lateAnswer(budgetMs: number): WeftError {
  return new WeftError({ code: 'deadline_exceeded', message: `No answer within ${Math.round(budgetMs)} ms.` });
}

function lateAck(timeoutMs: number): WeftError {
  return new WeftError({ code: 'peer_timeout', message: `No acknowledgement within ${Math.round(timeoutMs)} ms.` });
}

/** A caller that waits for `settled` first looks at `response` only later: that is no unhandled rejection. */
function handledByTheCaller(): void {
  /* the promise itself still rejects */
}

function failed(error: WeftError): OpenCall<never> {
  const response = Promise.reject(error);
  response.catch(handledByTheCaller);
  return { response, settled: Promise.resolve() };
}

/** Why a signal aborted, as a WeftError: the reason itself where it is one, `deadline_exceeded` for a timeout, else `cancelled`. */
export function toAbortError(signal: AbortSignal): WeftError {
  const reason: unknown = signal.reason;
  if (reason instanceof WeftError) return reason;
  if (reason instanceof Error && reason.name === 'TimeoutError') return toWeftError(reason);
  return new WeftError({ code: 'cancelled', message: 'The request was cancelled.' }, { cause: reason });
}
