// What runs in the store's own thread: hashing, and writing what was hashed. Started by DiskThread as text, so that it
// needs no file of its own beside a bundle: the function below must use nothing that is outside it.
import type * as Fs from 'node:fs';
import type { MessagePort } from 'node:worker_threads';

/** Verifies a chunk, writes it, and says so in the journal: in this order, so that the journal never runs ahead. */
export interface WriteJob {
  readonly kind: 'write';
  /** Names the file's running digest among those of this thread. */
  readonly file: number;
  readonly data: number;
  readonly journal: number;
  readonly index: number;
  readonly chunkBytes: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly expected: string | undefined;
}

/** Reads a chunk of another file, and writes it as {@link WriteJob} does. */
export interface CopyJob extends Omit<WriteJob, 'kind' | 'bytes'> {
  readonly kind: 'copy';
  readonly from: number;
  readonly length: number;
}

/** Digest of the whole file, and of its chunks: what is hashed already of a file that is being written counts. */
export interface WholeJob {
  readonly kind: 'whole';
  readonly file: number;
  readonly data: number;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
}

/** Digests of some chunks of a file. */
export interface ChunksJob {
  readonly kind: 'chunks';
  readonly data: number;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly indexes: readonly number[];
}

/** Digest of a file and of its chunks (empty for one that can't be read), and its size as the disk says it. */
export interface HashJob {
  readonly kind: 'hash';
  readonly data: number;
  readonly chunkBytes: number;
  /** What is behind it is not read. */
  readonly sizeBytesMax: number;
}

/** Bytes of a file, if they have this digest. */
export interface ReadJob {
  readonly kind: 'read';
  readonly data: number;
  readonly offset: number;
  readonly length: number;
  /** Undefined = they are known to be good. */
  readonly expected: string | undefined;
}

/** Appends to a journal. */
export interface NoteJob {
  readonly kind: 'note';
  readonly journal: number;
  readonly line: string;
}

/** A file's running digest is needed no more: after this the thread doesn't touch its data. */
export interface ForgetJob {
  readonly kind: 'forget';
  readonly file: number;
}

export type DiskJob = WriteJob | CopyJob | WholeJob | ChunksJob | HashJob | ReadJob | NoteJob | ForgetJob;

/** Answers, by the kind of job. `written: false`: the bytes are not what the digest says, nothing was written. */
export interface DiskAnswers {
  write: { readonly written: boolean; readonly sha256: string };
  copy: { readonly written: boolean; readonly sha256: string };
  whole: { readonly sha256: string; readonly chunks: readonly string[] };
  chunks: { readonly chunks: readonly (string | undefined)[] };
  hash: { readonly sha256: string; readonly chunks: readonly string[]; readonly sizeBytes: number };
  read: { readonly bytes: Uint8Array<ArrayBuffer> | undefined };
  note: Record<string, never>;
  forget: Record<string, never>;
}

export type ToThread = { readonly id: number; readonly job: DiskJob } | { readonly cancel: number };

export type FromThread =
  | { readonly id: number; readonly answer: DiskAnswers[DiskJob['kind']] }
  | { readonly id: number; readonly fault: { readonly code: string | undefined; readonly message: string } }
  | { readonly id: number; readonly progressBytes: number };

/** A line of a journal ends in the first digits of its digest, so that a torn or altered one shows. */
export const CHECK_DIGITS = 8;

/** @param require of the thread; @param checkDigits {@link CHECK_DIGITS} */
export function diskThread(require: NodeJS.Require, checkDigits: number): void {
  const { createHash } = require('node:crypto') as typeof import('node:crypto');
  const fs = require('node:fs') as typeof Fs;
  const parent = (require('node:worker_threads') as { readonly parentPort: MessagePort }).parentPort;

  /** The digest of a file's beginning, while chunks of it come in any order. */
  interface Running {
    hash: ReturnType<typeof createHash>;
    /** Chunks that are in it: all before this one. */
    next: number;
    /** Chunks that are on the disk, behind it. */
    ahead: Set<number>;
    digests: (string | undefined)[];
  }
  /** Id of work that nobody waits for. */
  const BACKGROUND = 0;
  const running = new Map<number, Running>();
  const cancelled = new Set<number>();
  /** Long work, a slice of each in turn, and messages between. */
  const turns: { readonly id: number; readonly slices: Iterator<void, unknown> }[] = [];
  let spare = new Uint8Array(0);

  const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

  /** A sector that can't be read any more is a bad chunk like another. */
  function readSome(data: number, bytes: Uint8Array, offset: number): number {
    try {
      return fs.readSync(data, bytes, 0, bytes.byteLength, offset);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EIO') return 0;
      throw error;
    }
  }

  function fill(data: number, bytes: Uint8Array, offset: number): number {
    let length = 0;
    while (length < bytes.byteLength) {
      const count = readSome(data, bytes.subarray(length), offset + length);
      if (count === 0) break;
      length += count;
    }
    return length;
  }

  /** Memory that is used again, for what is only hashed. */
  function read(data: number, offset: number, length: number): Uint8Array {
    if (spare.byteLength < length) spare = new Uint8Array(length);
    return spare.subarray(0, fill(data, spare.subarray(0, length), offset));
  }

  function writeAll(data: number, bytes: Uint8Array, offset: number | null): void {
    let done = 0;
    while (done < bytes.byteLength) {
      done += fs.writeSync(data, bytes, done, bytes.byteLength - done, offset === null ? null : offset + done);
    }
  }

  function note(journal: number, text: string): void {
    // A line of its own, even behind one that a full disk has torn.
    const line = Buffer.from(text);
    writeAll(journal, Buffer.from(`\n${text} ${digestOf(line).slice(0, checkDigits)}\n`), null);
  }

  const start = (): Running => ({ hash: createHash('sha256'), next: 0, ahead: new Set(), digests: [] });

  function runningOf(file: number): Running {
    const state = running.get(file) ?? start();
    running.set(file, state);
    return state;
  }

  function write(job: WriteJob | CopyJob, bytes: Uint8Array): DiskAnswers['write'] {
    const sha256 = digestOf(bytes);
    if (job.expected !== undefined && sha256 !== job.expected) return { written: false, sha256 };
    writeAll(job.data, bytes, job.index * job.chunkBytes);
    note(job.journal, `c ${job.index} ${sha256}`);
    let state = runningOf(job.file);
    if (job.index < state.next) {
      state = start();
      running.set(job.file, state);
    }
    state.digests[job.index] = sha256;
    if (job.index > state.next) {
      state.ahead.add(job.index);
    } else {
      // While it is in memory: the whole file's digest costs no second reading where chunks come in order.
      state.hash.update(bytes);
      state.next++;
      if (state.ahead.has(state.next)) begin(BACKGROUND, advance(state, job));
    }
    return { written: true, sha256 };
  }

  /** Takes in what came ahead of a chunk that was late, so that little is left to hash at the end. */
  function* advance(state: Running, { file, data, chunkBytes }: WriteJob | CopyJob): Generator<void, undefined> {
    while (running.get(file) === state && state.ahead.delete(state.next)) {
      const bytes = read(data, state.next * chunkBytes, chunkBytes);
      state.hash.update(bytes);
      state.next++;
      yield;
    }
  }

  function* whole(id: number, { file, data, sizeBytes, chunkBytes }: WholeJob): Generator<void, unknown> {
    const state = runningOf(file);
    for (let offset = state.next * chunkBytes; offset < sizeBytes; offset = state.next * chunkBytes) {
      const bytes = read(data, offset, Math.min(chunkBytes, sizeBytes - offset));
      state.digests[state.next] ??= digestOf(bytes);
      state.hash.update(bytes);
      state.next++;
      parent.postMessage({ id, progressBytes: bytes.byteLength });
      yield;
    }
    running.delete(file);
    return { sha256: state.hash.digest('hex'), chunks: state.digests };
  }

  function* chunks({ data, sizeBytes, chunkBytes, indexes }: ChunksJob): Generator<void, unknown> {
    const found: (string | undefined)[] = [];
    for (const index of indexes) {
      const length = Math.min(chunkBytes, sizeBytes - index * chunkBytes);
      const bytes = read(data, index * chunkBytes, length);
      found.push(bytes.byteLength === length ? digestOf(bytes) : undefined);
      yield;
    }
    return { chunks: found };
  }

  function* hash(id: number, { data, chunkBytes, sizeBytesMax }: HashJob): Generator<void, unknown> {
    const all = createHash('sha256');
    const found: string[] = [];
    const { size } = fs.fstatSync(data);
    const end = Math.min(size, sizeBytesMax);
    for (let offset = 0; offset < end; offset += chunkBytes) {
      const length = Math.min(chunkBytes, end - offset);
      const bytes = read(data, offset, length);
      all.update(bytes);
      found.push(bytes.byteLength === length ? digestOf(bytes) : '');
      parent.postMessage({ id, progressBytes: length });
      yield;
    }
    return { sha256: all.digest('hex'), chunks: found, sizeBytes: size };
  }

  function attempt(id: number, work: () => unknown): void {
    try {
      const answer = work();
      if (answer === undefined) return;
      const bytes = (answer as { readonly bytes?: Uint8Array<ArrayBuffer> }).bytes;
      parent.postMessage({ id, answer }, bytes === undefined ? [] : [bytes.buffer]);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      parent.postMessage({ id, fault: { code, message } });
    }
  }

  function begin(id: number, slices: Iterator<void, unknown>): void {
    turns.push({ id, slices });
    if (turns.length === 1) setImmediate(turn);
  }

  function turn(): void {
    const job = turns.shift();
    if (job !== undefined && !cancelled.delete(job.id)) {
      attempt(job.id, () => {
        const { done, value } = job.slices.next();
        if (done === true) return value;
        turns.push(job);
        return undefined;
      });
    } else if (job !== undefined) {
      parent.postMessage({ id: job.id, fault: { code: 'ABORT_ERR', message: 'cancelled' } });
    }
    if (turns.length > 0) setImmediate(turn);
  }

  /** Work that goes through a whole file; undefined for what is done at once. */
  function slicesOf(id: number, job: DiskJob): Iterator<void, unknown> | undefined {
    if (job.kind === 'whole') return whole(id, job);
    if (job.kind === 'chunks') return chunks(job);
    return job.kind === 'hash' ? hash(id, job) : undefined;
  }

  function atOnce(job: DiskJob): object {
    if (job.kind === 'write') {
      const answer = write(job, job.bytes);
      // Freed now, not when this heap happens to be looked through.
      job.bytes.buffer.transfer(0);
      return answer;
    }
    if (job.kind === 'copy') {
      const bytes = read(job.from, job.index * job.chunkBytes, job.length);
      return bytes.byteLength === job.length ? write(job, bytes) : { written: false, sha256: '' };
    }
    if (job.kind === 'read') {
      const bytes = Buffer.allocUnsafeSlow(job.length);
      const whole =
        fill(job.data, bytes, job.offset) === job.length &&
        (job.expected === undefined || digestOf(bytes) === job.expected);
      return whole ? { bytes } : {};
    }
    if (job.kind === 'note') note(job.journal, job.line);
    if (job.kind === 'forget') running.delete(job.file);
    return {};
  }

  parent.on('message', (message: ToThread) => {
    if ('cancel' in message) {
      if (turns.some(({ id }) => id === message.cancel)) cancelled.add(message.cancel);
      return;
    }
    const { id, job } = message;
    const slices = slicesOf(id, job);
    if (slices === undefined) attempt(id, () => atOnce(job));
    else begin(id, slices);
  });
}
