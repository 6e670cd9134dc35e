// Calls over a link of frames: the state machine that peers (a libp2p stream each) and runners (one socket, many calls)
// share. Neither side knows what carries the bytes: whoever owns the link pushes what comes in and writes what goes out.

import type { Load } from '../../protocol/capability.ts';
import { errorFromMessage, errorToMessage, loadFromMessage, loadToMessage } from '../../protocol/codec.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import { encodeFrames, FrameReader, type HeaderKind, TensorAssembler } from '../../protocol/frame.ts';
import type { RequestId } from '../../protocol/ids.ts';
import { CALLS_PER_LINK_MAX } from '../../protocol/limits.ts';
import type { Header } from '../../protocol/messages/weft_pb.js';
import type { AnyMethod, MethodSpec } from '../../protocol/methods.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';
import { assert } from './assert.ts';
import type { Clock, Timer } from './clock.ts';

/** Takes the pieces of one frame, to be written one after the other with nothing between. */
export interface FrameWriter {
  /**
   * @returns a promise when the link is full: wait for it before the next write; it rejects when the link is lost
   * @throws WeftError when the link is gone already
   */
  write(pieces: readonly Uint8Array[]): Promise<void> | undefined;
}

async function writeMessage(
  writer: FrameWriter,
  callId: number,
  kind: HeaderKind,
  tensors?: readonly NamedTensor[],
): Promise<void> {
  for (const frame of encodeFrames(callId, kind, tensors)) {
    const full = writer.write(frame);
    if (full !== undefined) await full;
  }
}

/** Receives tensors of one message at a time per call. */
interface Incoming {
  readonly header: Header;
  readonly tensors: TensorAssembler;
}

// ── The caller's side ───────────────────────────────────────────────────────────────────────────

export interface CallOptions<Item> {
  readonly signal: AbortSignal;
  readonly requestId: RequestId;
  /** For the whole call; at most, and by default, the method's own bound. */
  readonly budgetMs?: number | undefined;
  /** Request written → acknowledged, else `peer_timeout`; absent = no acknowledgement is expected. */
  readonly ackTimeoutMs?: number | undefined;
  readonly onAck?: ((load: Load | undefined) => void) | undefined;
  /** Elements of a streamed answer, in order. */
  readonly onItem?: ((item: Item) => void) | undefined;
  /** Load in the final answer. */
  readonly onLoad?: ((load: Load) => void) | undefined;
}

/** A call under way. */
export interface OpenCall<Response> {
  readonly response: Promise<Response>;
  /** Resolves once the other side is done with it too (also after a cancellation): the link is free for the next. */
  readonly settled: Promise<void>;
}

interface ClientCall {
  readonly method: AnyMethod;
  readonly options: CallOptions<never>;
  readonly resolve: (response: never) => void;
  readonly reject: (error: WeftError) => void;
  readonly settle: () => void;
  readonly timers: Timer[];
  ackTimer: Timer | undefined;
  nextItem: number;
  incoming: Incoming | undefined;
  /** The caller has its answer or its error already; only the other side's last frame is awaited. */
  abandoned: boolean;
  onAbort: (() => void) | undefined;
}

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

  /** Bytes from the link. @throws WeftError `frame_invalid`: close the link then */
  push(chunk: Uint8Array): void {
    this.#reader.push(chunk);
  }

  /** The link is gone: every open call fails with this. */
  close(error: WeftError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    for (const [callId, call] of [...this.#calls]) {
      this.#fail(call, error);
      this.#remove(callId, call);
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
    const callId = this.#nextId;
    this.#nextId = this.#nextId === 0xffff_ffff ? 1 : this.#nextId + 1;
    const call: ClientCall = {
      method,
      options,
      resolve,
      reject,
      settle,
      timers: [],
      ackTimer: undefined,
      nextItem: 0,
      incoming: undefined,
      abandoned: false,
      onAbort: undefined,
    };
    this.#calls.set(callId, call);
    const giveUp = (error: WeftError): void => {
      if (call.abandoned) return;
      this.#fail(call, error);
      this.#sendCancel(callId, call, error);
    };
    call.onAbort = () => giveUp(toAbortError(options.signal));
    options.signal.addEventListener('abort', call.onAbort, { once: true });

    const budgetMs = Math.max(1, Math.min(options.budgetMs ?? Number.POSITIVE_INFINITY, method.timeouts.totalMs));
    call.timers.push(
      this.#clock.after(budgetMs, () =>
        giveUp(new WeftError({ code: 'deadline_exceeded', message: `No answer within ${Math.round(budgetMs)} ms.` })),
      ),
    );
    const { ackTimeoutMs } = options;
    this.#send(callId, call, request, Math.ceil(budgetMs)).then(
      () => {
        if (ackTimeoutMs === undefined || call.abandoned || call.ackTimer === ACKNOWLEDGED) return;
        call.ackTimer = this.#clock.after(ackTimeoutMs, () =>
          giveUp(
            new WeftError({
              code: 'peer_timeout',
              message: `No acknowledgement within ${Math.round(ackTimeoutMs)} ms.`,
            }),
          ),
        );
      },
      (error: unknown) => {
        this.#fail(call, toWeftError(error));
        this.#remove(callId, call);
      },
    );
    return { response, settled };
  }

  async #send<Request>(callId: number, call: ClientCall, request: Request, budgetMs: number): Promise<void> {
    const { method, options } = call;
    const { payload, tensors } = method.request.encode(request);
    const value = { method: method.id, version: method.version, budgetMs, requestId: options.requestId, payload };
    await writeMessage(this.#writer, callId, { case: 'call', value } as HeaderKind, tensors);
  }

  #sendCancel(callId: number, call: ClientCall, error: WeftError): void {
    const value = { reason: error.code };
    writeMessage(this.#writer, callId, { case: 'cancel', value } as HeaderKind).catch(() => this.#remove(callId, call));
  }

  #onHeader(header: Header, bodyBytes: number): void {
    const call = this.#calls.get(header.callId);
    this.#receiving = call;
    // The last frames of a call that failed here may still arrive; their bodies are passed over.
    if (call === undefined) return;
    const { kind } = header;
    switch (kind.case) {
      case 'ack':
        call.ackTimer?.cancel();
        call.ackTimer = ACKNOWLEDGED;
        call.options.onAck?.(loadFromMessage(kind.value.load));
        return;
      case 'item':
      case 'end':
      case 'fault':
        if (call.incoming !== undefined)
          throw new WeftError({ code: 'frame_invalid', message: 'A message began inside another.' });
        call.incoming = { header, tensors: new TensorAssembler(header.tensors, call.method.quota.answerBytesMax) };
        break;
      case 'more':
        if (call.incoming === undefined)
          throw new WeftError({ code: 'frame_invalid', message: 'Nothing to continue.' });
        break;
      default:
        throw new WeftError({ code: 'frame_invalid', message: `A caller can't be sent "${kind.case}".` });
    }
    if (bodyBytes === 0) this.#deliverIfWhole(call);
  }

  #onBody(piece: Uint8Array): void {
    const call = this.#receiving;
    if (call?.incoming === undefined) return;
    call.incoming.tensors.write(piece);
    this.#deliverIfWhole(call);
  }

  #deliverIfWhole(call: ClientCall): void {
    const incoming = call.incoming;
    if (incoming === undefined || incoming.tensors.missing > 0) return;
    call.incoming = undefined;
    const { kind, callId } = incoming.header;
    try {
      if (kind.case === 'item') {
        if (kind.value.sequence !== call.nextItem) {
          throw new WeftError({ code: 'frame_invalid', message: `Item ${call.nextItem} is missing.` });
        }
        call.nextItem++;
        if (call.abandoned) return;
        const item = call.method.item.decode({ payload: kind.value.payload, tensors: incoming.tensors.finish() });
        call.options.onItem?.(item as never);
        return;
      }
      assert(kind.case === 'end' || kind.case === 'fault', 'only answers are assembled here');
      const load = loadFromMessage(kind.value.load);
      if (load !== undefined) call.options.onLoad?.(load);
      if (kind.case === 'fault') {
        this.#fail(call, errorFromMessage(kind.value.error));
      } else if (!call.abandoned) {
        const parts = { payload: kind.value.payload, tensors: incoming.tensors.finish() };
        call.resolve(call.method.response.decode(parts) as never);
      }
    } catch (error) {
      this.#fail(call, toWeftError(error));
      if (kind.case === 'item') {
        this.#sendCancel(callId, call, toWeftError(error));
        return;
      }
    }
    this.#remove(callId, call);
  }

  #fail(call: ClientCall, error: WeftError): void {
    call.abandoned = true;
    call.reject(error);
    this.#stopWaiting(call);
  }

  #stopWaiting(call: ClientCall): void {
    for (const timer of call.timers) timer.cancel();
    call.ackTimer?.cancel();
    if (call.onAbort !== undefined) call.options.signal.removeEventListener('abort', call.onAbort);
  }

  #remove(callId: number, call: ClientCall): void {
    if (!this.#calls.delete(callId)) return;
    call.abandoned = true;
    this.#stopWaiting(call);
    call.settle();
  }
}

/** Marks a call whose acknowledgement came before its request was written in full. */
const ACKNOWLEDGED: Timer = {
  cancel() {
    /* nothing runs */
  },
};

function failed(error: WeftError): OpenCall<never> {
  return { response: Promise.reject(error), settled: Promise.resolve() };
}

/** Why a signal aborted, as a WeftError: the reason itself where it is one, else `cancelled`. */
export function toAbortError(signal: AbortSignal): WeftError {
  const reason: unknown = signal.reason;
  if (reason instanceof WeftError) return reason;
  return new WeftError({ code: 'cancelled', message: 'The request was cancelled.' }, { cause: reason });
}

// ── The callee's side ───────────────────────────────────────────────────────────────────────────

/** What a handler knows of the call that it answers. */
export interface CallContext<Item> {
  /** Aborts when the caller cancels, its deadline passes, or the link is lost; the reason is a WeftError. */
  readonly signal: AbortSignal;
  readonly requestId: RequestId;
  /** Milliseconds that the caller waits for the whole; 0 = it didn't say. */
  readonly budgetMs: number;
  /** Whose link it is: set by whoever owns the link. */
  readonly caller: string;
  /** Sends one element of a streamed answer. @returns a promise when the link is full: wait for it before the next */
  item(value: Item): Promise<void> | undefined;
}

/** Answers a method. What it throws reaches the caller as a WeftError. */
export type CallHandler<Request, Item, Response> = (request: Request, context: CallContext<Item>) => Promise<Response>;

/** What a callee needs to know of a method: how to answer it, and whether it may be answered now. */
export interface Registered {
  readonly method: AnyMethod;
  // biome-ignore lint/suspicious/noExplicitAny: as in AnyMethod
  readonly handler: CallHandler<any, any, any>;
  /** Takes a place in the method's quota and returns what gives it back. @throws WeftError when there is none */
  admit(): () => void;
}

export interface CallServerComponents {
  readonly writer: FrameWriter;
  readonly clock: Clock;
  /** The method of that number and version. @throws WeftError `method_unknown` */
  readonly lookup: (method: number, version: number) => Registered;
  /** Sent with acknowledgements and answers. */
  readonly load?: () => Load;
}

export interface CallServerInit {
  readonly caller: string;
  /** Acknowledge every request once it is here in full. @default true */
  readonly acknowledge?: boolean;
}

interface ServerCall {
  readonly abort: AbortController;
  readonly registered: Registered;
  readonly release: () => void;
  incoming: Incoming | undefined;
  deadline: Timer | undefined;
}

/** Answers the calls that come in on a link. */
export class CallServer {
  readonly #components: CallServerComponents;
  readonly #init: CallServerInit;
  readonly #calls = new Map<number, ServerCall>();
  readonly #reader: FrameReader;
  #receiving: ServerCall | undefined;
  #closed = false;

  constructor(components: CallServerComponents, init: CallServerInit) {
    this.#components = components;
    this.#init = init;
    this.#reader = new FrameReader({
      header: (header, bodyBytes) => this.#onHeader(header, bodyBytes),
      body: (piece) => this.#onBody(piece),
    });
  }

  /** Calls that are not answered yet. */
  get open(): number {
    return this.#calls.size;
  }

  /** Bytes from the link. @throws WeftError `frame_invalid`: close the link then */
  push(chunk: Uint8Array): void {
    this.#reader.push(chunk);
  }

  /** The link is gone: all work for it is cancelled, with this as the reason. */
  close(error: WeftError): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const [callId, call] of [...this.#calls]) {
      call.abort.abort(error);
      // A call whose request never came in full has no handler that would give its place back.
      if (call.incoming !== undefined) this.#remove(callId, call);
    }
  }

  #onHeader(header: Header, bodyBytes: number): void {
    const { kind, callId } = header;
    const known = this.#calls.get(callId);
    this.#receiving = known;
    if (kind.case === 'cancel') {
      known?.abort.abort(new WeftError({ code: 'cancelled', message: 'The caller ended the request.' }));
      if (known?.incoming !== undefined) {
        this.#remove(callId, known);
        this.#refuse(callId, new WeftError({ code: 'cancelled', message: 'The caller ended the request.' }));
      }
      return;
    }
    if (kind.case === 'more') {
      if (bodyBytes === 0) throw new WeftError({ code: 'frame_invalid', message: 'A continuation without bytes.' });
      return;
    }
    if (kind.case !== 'call')
      throw new WeftError({ code: 'frame_invalid', message: `A callee can't be sent "${kind.case}".` });
    if (known !== undefined) throw new WeftError({ code: 'frame_invalid', message: `Call ${callId} is open already.` });
    if (this.#calls.size >= CALLS_PER_LINK_MAX) {
      this.#refuse(callId, new WeftError({ code: 'quota_exceeded', message: 'Too many calls are open on this link.' }));
      return;
    }
    try {
      const registered = this.#components.lookup(kind.value.method, kind.value.version);
      const tensors = new TensorAssembler(header.tensors, registered.method.quota.requestBytesMax);
      const release = registered.admit();
      const call: ServerCall = {
        abort: new AbortController(),
        registered,
        release,
        incoming: { header, tensors },
        deadline: undefined,
      };
      this.#calls.set(callId, call);
      this.#receiving = call;
      if (tensors.missing === 0) this.#begin(call);
    } catch (error) {
      this.#refuse(callId, toWeftError(error));
    }
  }

  #onBody(piece: Uint8Array): void {
    const call = this.#receiving;
    if (call?.incoming === undefined) return;
    call.incoming.tensors.write(piece);
    if (call.incoming.tensors.missing === 0) this.#begin(call);
  }

  #refuse(callId: number, error: WeftError): void {
    this.#answer(callId, {
      case: 'fault',
      value: { error: errorToMessage(error), load: this.#load() },
    } as HeaderKind).catch(() => {
      // The link is gone; its owner hears of that from the link itself.
    });
  }

  #load(): ReturnType<typeof loadToMessage> | undefined {
    const load = this.#components.load?.();
    return load === undefined ? undefined : loadToMessage(load);
  }

  #answer(callId: number, kind: HeaderKind, tensors?: readonly NamedTensor[]): Promise<void> {
    return writeMessage(this.#components.writer, callId, kind, tensors);
  }

  #begin(call: ServerCall): void {
    const incoming = call.incoming;
    assert(incoming !== undefined && incoming.header.kind.case === 'call', 'a call begins once, with its header');
    call.incoming = undefined;
    const { callId } = incoming.header;
    const { requestId, budgetMs, payload } = incoming.header.kind.value;
    if (budgetMs > 0) {
      call.deadline = this.#components.clock.after(budgetMs, () =>
        call.abort.abort(new WeftError({ code: 'deadline_exceeded', message: `Not done within ${budgetMs} ms.` })),
      );
    }
    let sequence = 0;
    const context: CallContext<unknown> = {
      signal: call.abort.signal,
      requestId,
      budgetMs,
      caller: this.#init.caller,
      item: (value) => {
        call.abort.signal.throwIfAborted();
        const parts = call.registered.method.item.encode(value);
        const kind = { case: 'item', value: { sequence: sequence++, payload: parts.payload } } as HeaderKind;
        const frames = encodeFrames(callId, kind, parts.tensors);
        if (frames.length === 1 && frames[0] !== undefined) return this.#components.writer.write(frames[0]);
        return this.#answer(callId, kind, parts.tensors);
      },
    };
    // The work is under way before the acknowledgement is written: that write then costs the caller no time.
    const work = this.#work(call, { payload, tensors: incoming.tensors }, context);
    if (this.#init.acknowledge !== false) {
      this.#answer(callId, { case: 'ack', value: { load: this.#load() } } as HeaderKind).catch(() => {
        // As in #refuse.
      });
    }
    void this.#finish(callId, call, work);
  }

  async #work(
    call: ServerCall,
    message: { readonly payload: Uint8Array; readonly tensors: TensorAssembler },
    context: CallContext<unknown>,
  ): Promise<unknown> {
    const { method, handler } = call.registered;
    return handler(method.request.decode({ payload: message.payload, tensors: message.tensors.finish() }), context);
  }

  async #finish(callId: number, call: ServerCall, work: Promise<unknown>): Promise<void> {
    try {
      const { payload, tensors } = call.registered.method.response.encode(await work);
      this.#remove(callId, call);
      await this.#answer(callId, { case: 'end', value: { payload, load: this.#load() } } as HeaderKind, tensors);
    } catch (error) {
      this.#remove(callId, call);
      if (!this.#closed) this.#refuse(callId, toWeftError(error));
    }
  }

  #remove(callId: number, call: ServerCall): void {
    if (this.#calls.get(callId) !== call) return;
    this.#calls.delete(callId);
    call.deadline?.cancel();
    call.release();
  }
}
