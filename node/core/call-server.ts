// The callee's side of a link: takes requests in, acknowledges them, lets a handler answer, and stops it when the caller
// ends the call, its time is over or the link is lost. Used by node/mesh for peers and by the runner for its daemon.
import type { Load } from '../../protocol/capability.ts';
import { errorToMessage, loadToMessage } from '../../protocol/codec.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import { encodeFrames, FrameReader, TensorAssembler } from '../../protocol/frame.ts';
import type { FrameHeader, HeaderKind } from '../../protocol/header.ts';
import type { RequestId } from '../../protocol/ids.ts';
import { CALLS_PER_LINK_MAX, REFUSALS_UNREAD_MAX } from '../../protocol/limits.ts';
import type { AnyMethod } from '../../protocol/methods.ts';
import { assert } from './assert.ts';
import type { Clock, Timer } from './clock.ts';
import type { Priority } from './engine.ts';
import { type FrameWriter, type Incoming, writeFrames } from './frame-writer.ts';

/** What a handler knows of the call that it answers. */
export interface CallContext<Item> {
  /** Aborts when the caller cancels, its deadline passes, or the link is lost; the reason is a WeftError. */
  readonly signal: AbortSignal;
  readonly requestId: RequestId;
  /** W3C traceparent of the caller's span, as it came; absent = not traced. */
  readonly traceParent?: string;
  /** Milliseconds that the caller waits for the whole, at most the method's own bound; 0 = it didn't say. */
  readonly budgetMs: number;
  /** What goes before what. @default 'interactive' */
  readonly priority?: Priority;
  /** To be declined if it is predicted to take longer than so many milliseconds from now; absent = no condition. */
  readonly withinMs?: number;
  /** Whose link it is: set by whoever owns the link. */
  readonly caller: string;
  /**
   * Calls back once the answer has left, or never will: what it is made of need not be kept any more. One callback a call.
   */
  afterwards(callback: () => void): void;
  /**
   * Sends one element of a streamed answer.
   * @returns a promise when the link is full: wait for it before the next. Elements without tensors may go on all the
   *   same, where their number is bounded
   * @throws the signal's reason once that has aborted
   */
  item(value: Item): Promise<void> | undefined;
}

/** Answers a method. What it throws reaches the caller as a WeftError. */
export type CallHandler<Request, Item, Response> = (request: Request, context: CallContext<Item>) => Promise<Response>;

/** What a callee needs to know of a method: how to answer it, and whether it may be answered now. */
export interface Registered {
  readonly method: AnyMethod;
  // biome-ignore lint/suspicious/noExplicitAny: as in AnyMethod
  readonly handler: CallHandler<any, any, any>;
  /**
   * Takes a place in the method's quota and returns what gives it back, which is called once: when the answer has left,
   * or the request was given up before it was here in full.
   * @throws WeftError when there is none
   */
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
  readonly id: number;
  readonly abort: AbortController;
  readonly registered: Registered;
  readonly release: () => void;
  readonly deadline: Timer;
  /** The request, until it is here in full and with its handler. */
  incoming: Incoming | undefined;
  nextItem: number;
  /** An item of several frames that is being written. */
  writing: Promise<void> | undefined;
  /** No item may follow. */
  over: boolean;
  afterwards: (() => void) | undefined;
}

const invalid = (message: string): WeftError => new WeftError({ code: 'frame_invalid', message });
const late = (budgetMs: number): WeftError =>
  new WeftError({ code: 'deadline_exceeded', message: `Not done within ${budgetMs} ms.` });
const cancelled = (): WeftError => new WeftError({ code: 'cancelled', message: 'The caller ended the request.' });

/** Answers the calls that come in on a link. */
export class CallServer {
  readonly #components: CallServerComponents;
  readonly #caller: string;
  readonly #acknowledge: boolean;
  readonly #calls = new Map<number, ServerCall>();
  readonly #reader: FrameReader;
  #receiving: ServerCall | undefined;
  /** Faults of calls that were never taken on, and that the link hasn't taken yet. */
  #refusals = 0;
  #closed = false;

  constructor(components: CallServerComponents, init: CallServerInit) {
    this.#components = components;
    this.#caller = init.caller;
    this.#acknowledge = init.acknowledge ?? true;
    this.#reader = new FrameReader({
      header: (header, bodyBytes) => this.#onHeader(header, bodyBytes),
      body: (piece) => this.#onBody(piece),
    });
  }

  /** Calls whose answer has not left yet. */
  get open(): number {
    return this.#calls.size;
  }

  /** True while a frame or a request is here only in part: the rest of it should be on its way. */
  get partial(): boolean {
    if (!this.#reader.atFrameBoundary) return true;
    for (const call of this.#calls.values()) if (call.incoming !== undefined) return true;
    return false;
  }

  /** Bytes from the link, which must not change afterwards. @throws WeftError `frame_invalid`: close the link then */
  push(chunk: Uint8Array): void {
    if (!this.#closed) this.#reader.push(chunk);
  }

  /** The link is gone: all work for it is cancelled, with this as the reason. */
  close(error: WeftError): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const call of [...this.#calls.values()]) {
      // A call whose request never came in full has no handler that would give its place back.
      if (call.incoming !== undefined) this.#remove(call);
      call.abort.abort(error);
    }
  }

  /** Ends every call with this error, of which its caller is told: the link goes on. */
  cancel(error: WeftError): void {
    for (const call of [...this.#calls.values()]) this.#end(call, error);
  }

  #onHeader(header: FrameHeader, bodyBytes: number): void {
    this.#receiving = undefined;
    if (this.#closed) return;
    const { kind, callId } = header;
    const known = this.#calls.get(callId);
    switch (kind.case) {
      case 'call':
        if (known !== undefined) throw invalid(`Call ${callId} is open already.`);
        this.#open(header, kind.value, bodyBytes);
        return;
      case 'more':
        if (bodyBytes === 0) throw invalid('A continuation without bytes.');
        // A refused call's caller learns of it while it still sends: what comes is passed over.
        if (known === undefined) return;
        if (bodyBytes > (known.incoming?.tensors.missing ?? 0)) throw invalid('Nothing to continue.');
        this.#receiving = known;
        return;
      case 'cancel':
        if (bodyBytes > 0) throw invalid('A cancellation has no body.');
        // A call that has its answer already may be cancelled on its way.
        if (known !== undefined) this.#end(known, cancelled());
        return;
      default:
        throw invalid(`A callee can't be sent "${kind.case}".`);
    }
  }

  #open(header: FrameHeader, call: { method: number; version: number; budgetMs: number }, bodyBytes: number): void {
    const { callId } = header;
    // Whoever keeps to the bound on calls never has that many refusals unread: this one only sends.
    if (this.#refusals >= REFUSALS_UNREAD_MAX) throw invalid('The caller does not read its answers.');
    if (this.#calls.size >= CALLS_PER_LINK_MAX) {
      this.#refuse(callId, new WeftError({ code: 'quota_exceeded', message: 'Too many calls are open on this link.' }));
      return;
    }
    let opened: ServerCall;
    try {
      const registered = this.#components.lookup(call.method, call.version);
      const { quota, timeouts } = registered.method;
      const tensors = new TensorAssembler(header.tensors, quota.requestBytesMax);
      if (bodyBytes > tensors.missing) throw invalid('More tensor bytes come than the header declares.');
      const release = registered.admit();
      const budgetMs = Math.min(call.budgetMs === 0 ? Number.POSITIVE_INFINITY : call.budgetMs, timeouts.totalMs);
      opened = {
        id: callId,
        abort: new AbortController(),
        registered,
        release,
        deadline: this.#components.clock.after(budgetMs, () => this.#end(opened, late(budgetMs))),
        incoming: { header, tensors },
        nextItem: 0,
        writing: undefined,
        over: false,
        afterwards: undefined,
      };
    } catch (error) {
      this.#refuse(callId, toWeftError(error));
      return;
    }
    this.#calls.set(callId, opened);
    this.#receiving = opened;
    if (opened.incoming?.tensors.missing === 0) this.#begin(opened, opened.incoming);
  }

  #onBody(piece: Uint8Array): void {
    const call = this.#receiving;
    // It may have ended, or begun, since its header came.
    if (call?.incoming === undefined || this.#calls.get(call.id) !== call) return;
    call.incoming.tensors.write(piece);
    if (call.incoming.tensors.missing === 0) this.#begin(call, call.incoming);
  }

  /** Ends a call from here: the handler hears of it by its signal, and what is being written stops. */
  #end(call: ServerCall, error: WeftError): void {
    if (call.incoming !== undefined) {
      this.#remove(call);
      this.#refuse(call.id, error);
    }
    call.abort.abort(error);
  }

  #begin(call: ServerCall, { header: { kind }, tensors }: Incoming): void {
    assert(kind.case === 'call', 'a call begins with its own header');
    call.incoming = undefined;
    const { requestId, traceParent, budgetMs, withinMs, priority } = kind.value;
    const context: CallContext<unknown> = {
      signal: call.abort.signal,
      requestId,
      ...(traceParent === '' ? {} : { traceParent }),
      budgetMs: Math.min(budgetMs, call.registered.method.timeouts.totalMs),
      // A class that only later versions know is one of those that wait.
      priority: priority === 0 ? 'interactive' : 'batch',
      ...(withinMs > 0 ? { withinMs } : {}),
      caller: this.#caller,
      afterwards: (callback) => {
        call.afterwards = callback;
      },
      item: (value) => this.#sendItem(call, value),
    };
    const work = this.#work(call, { payload: kind.value.payload, tensors }, context);
    // The work is under way before the acknowledgement is written, what the handler put off to a microtask included (an
    // engine sends its runner what came in one turn together): writing it then costs the caller no time.
    if (this.#acknowledge) queueMicrotask(() => this.#acknowledgeReceipt(call));
    void this.#finish(call, work);
  }

  async #work(
    call: ServerCall,
    { payload, tensors }: { readonly payload: Uint8Array; readonly tensors: TensorAssembler },
    context: CallContext<unknown>,
  ): Promise<unknown> {
    const { method, handler } = call.registered;
    return handler(method.request.decode({ payload, tensors: tensors.finish() }), context);
  }

  #acknowledgeReceipt(call: ServerCall): void {
    if (call.over || this.#closed) return;
    try {
      // A lost link is heard of from the link itself.
      this.#write(call.id, { case: 'ack', value: { load: this.#load() } })?.catch(heardFromTheLink);
    } catch {
      // As above.
    }
  }

  #sendItem(call: ServerCall, value: unknown): Promise<void> | undefined {
    call.abort.signal.throwIfAborted();
    assert(!call.over, 'no item follows the answer');
    assert(call.writing === undefined, 'an item in several frames is waited for');
    const { payload, tensors } = call.registered.method.item.encode(value);
    const kind: HeaderKind = { case: 'item', value: { sequence: call.nextItem, payload } };
    const frames = encodeFrames(call.id, kind, tensors, call.registered.method.quota.answerBytesMax);
    const written = writeFrames(this.#components.writer, frames, () => !call.over && !call.abort.signal.aborted);
    call.nextItem++;
    if (written === undefined) return undefined;
    const room = written.then(() => {
      call.writing = undefined;
    });
    if (frames.length > 1) call.writing = room;
    // A handler need not wait, and hears of a lost link by its signal.
    room.catch(heardFromTheLink);
    return room;
  }

  async #finish(call: ServerCall, work: Promise<unknown>): Promise<void> {
    try {
      const { payload, tensors } = call.registered.method.response.encode(await work);
      await call.writing;
      call.over = true;
      const kind: HeaderKind = { case: 'end', value: { payload, load: this.#load() } };
      const frames = encodeFrames(call.id, kind, tensors, call.registered.method.quota.answerBytesMax);
      const whole = await writeFrames(this.#components.writer, frames, () => !call.abort.signal.aborted);
      if (whole === false) throw call.abort.signal.reason;
    } catch (error) {
      call.over = true;
      await this.#fault(call.id, toWeftError(error));
    } finally {
      this.#remove(call);
    }
  }

  #refuse(callId: number, error: WeftError): void {
    this.#refusals++;
    void this.#fault(callId, error).then(() => {
      this.#refusals--;
    });
  }

  /** Ends a call without an answer, also in the middle of one. Never rejects. */
  async #fault(callId: number, error: WeftError): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#write(callId, {
        case: 'fault',
        value: { error: errorToMessage(error), load: this.#load() },
      });
    } catch {
      // The link is gone; its owner hears of that from the link itself.
    }
  }

  /** Writes a message of one frame. */
  #write(callId: number, kind: HeaderKind): Promise<boolean> | undefined {
    return writeFrames(this.#components.writer, encodeFrames(callId, kind), () => true);
  }

  #load(): ReturnType<typeof loadToMessage> | undefined {
    const load = this.#components.load?.();
    return load === undefined ? undefined : loadToMessage(load);
  }

  #remove(call: ServerCall): void {
    if (this.#calls.get(call.id) !== call) return;
    this.#calls.delete(call.id);
    call.deadline.cancel();
    call.release();
    call.afterwards?.();
  }
}

function heardFromTheLink(): void {
  /* the link's owner closes the calls */
}
