// A method with nothing to it, and ends of a link that a test plays by hand, for the tests of calls.
import type { CallHandler, CallOptions, FrameWriter, Registered } from '../../../node/core/calls.ts';
import type { Codec, Parts } from '../../../protocol/codec.ts';
import { WeftError } from '../../../protocol/errors.ts';
import {
  encodeFrames,
  type FrameHeader,
  FrameReader,
  type HeaderKind,
  TensorAssembler,
} from '../../../protocol/frame.ts';
import type { MethodSpec } from '../../../protocol/methods.ts';
import type { NamedTensor } from '../../../protocol/tensor.ts';

const parts: Codec<Parts> = {
  encode: (value) => value,
  decode: ({ payload, tensors }) => {
    if (payload[0] === 0xff) throw new WeftError({ code: 'bad_request', message: 'Not this one.' });
    return { payload: payload.slice(), tensors };
  },
};

export type EchoMethod = MethodSpec<Parts, Parts, Parts>;
export type EchoHandler = CallHandler<Parts, Parts, Parts>;

/** Whatever goes in comes out. */
export const ECHO: EchoMethod = {
  id: 7,
  name: 'echo',
  version: 1,
  request: parts,
  item: parts,
  response: parts,
  quota: { callsPerPeer: 4, requestBytesMax: 8 << 20, answerBytesMax: 8 << 20 },
  timeouts: { ackMs: 1_000, totalMs: 60_000 },
  access: 'member',
  pooledStreams: 1,
};

export const echo: EchoHandler = async (request) => request;

/** A message of some bytes, and tensors. */
export function message(text: string, ...tensors: NamedTensor[]): Parts {
  return { payload: new TextEncoder().encode(text), tensors };
}

export const textOf = ({ payload }: Parts): string => new TextDecoder().decode(payload);

/** A tensor of this many bytes, each told by its place and the seed. */
export function tensorOfBytes(length: number, seed = 0): NamedTensor {
  const data = new Uint8Array(length);
  for (let index = 0; index < length; index++) data[index] = (index * 31 + (index >> 8) + seed) & 0xff;
  return { name: `t${seed}`, type: 'uint8', dims: [length], data };
}

/** A callee's table with the one method, which counts its quota. */
export class Table {
  admitted = 0;
  released = 0;
  placesMax = Number.POSITIVE_INFINITY;
  readonly #handler: EchoHandler;

  constructor(handler: EchoHandler) {
    this.#handler = handler;
  }

  readonly lookup = (id: number, version: number): Registered => {
    if (id !== ECHO.id || version !== ECHO.version) {
      throw new WeftError({ code: 'method_unknown', message: `Method ${id}/${version} is not known here.` });
    }
    return {
      method: ECHO,
      handler: this.#handler,
      admit: () => {
        if (this.admitted - this.released >= this.placesMax) {
          throw new WeftError({ code: 'quota_exceeded', message: 'No place is left.' });
        }
        this.admitted++;
        return () => {
          this.released++;
        };
      },
    };
  };
}

/** Options of a call that nobody cancels. */
export function options(init: Partial<CallOptions<Parts>> = {}): CallOptions<Parts> {
  return { signal: new AbortController().signal, requestId: 'req_test', ...init };
}

/** A promise that the test settles. */
export function gate<T = void>(): PromiseWithResolvers<T> {
  return Promise.withResolvers<T>();
}

/** Lets everything that is ready happen, on links in memory too. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Keeps what is written, as frames. `full` makes it answer writes with a promise of the test's. */
export class RecordingWriter implements FrameWriter {
  readonly headers: FrameHeader[] = [];
  bodyBytes = 0;
  full: Promise<void> | undefined;
  gone: WeftError | undefined;
  readonly #reader = new FrameReader({
    header: (header) => this.headers.push(header),
    body: (piece) => {
      this.bodyBytes += piece.byteLength;
    },
  });

  write(pieces: readonly Uint8Array[]): Promise<void> | undefined {
    if (this.gone !== undefined) throw this.gone;
    for (const piece of pieces) this.#reader.push(piece.slice());
    return this.full;
  }

  /** What was written, in order. */
  get kinds(): readonly (string | undefined)[] {
    return this.headers.map((header) => header.kind.case);
  }

  /** The codes of the faults that were written. */
  get faults(): readonly (string | undefined)[] {
    return this.headers.flatMap(({ kind }) => (kind.case === 'fault' ? [kind.value.error?.code] : []));
  }
}

/** Frames of a message, each as one chunk. */
export function chunksOf(callId: number, kind: HeaderKind, tensors: readonly NamedTensor[] = []): Uint8Array[] {
  return encodeFrames(callId, kind, tensors).map((pieces) => new Uint8Array(Buffer.concat(pieces)));
}

/** The request of a call to ECHO. */
export function callKind(
  change: { payload?: Uint8Array; budgetMs?: number; method?: number; withinMs?: number; priority?: number } = {},
): HeaderKind {
  const value = {
    method: ECHO.id,
    version: 1,
    budgetMs: 0,
    requestId: 'req_raw',
    traceParent: '',
    payload: new Uint8Array(0),
    withinMs: 0,
    priority: 0,
    ...change,
  };
  return { case: 'call', value };
}

export const kind = (name: NonNullable<HeaderKind['case']>, value: object = {}): HeaderKind =>
  ({
    case: name,
    value: {
      payload: new Uint8Array(0),
      requestId: '',
      traceParent: '',
      withinMs: 0,
      priority: 0,
      sequence: 0,
      reason: '',
      ...value,
    },
  }) as HeaderKind;

/** The tensors behind a header that was written whole. */
export function assembled(header: FrameHeader, body: Uint8Array): NamedTensor[] {
  const assembler = new TensorAssembler(header.tensors);
  assembler.write(body);
  return assembler.finish();
}
