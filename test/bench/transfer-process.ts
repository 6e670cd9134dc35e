// One end of a transfer in a process of its own, as the benchmark sees it: opened in a role, asked to fetch, asked what
// it took. What fails there fails here.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { BenchFile } from './transfer-file.ts';

const CHILD = fileURLToPath(new URL('./transfer-child.ts', import.meta.url));

/** What a process can be: an end of a contender, a whole node, or the links between others. */
export interface Roles {
  weft: MeshEndInit;
  stream: MeshEndInit;
  bitswap: { readonly folder: string; readonly file?: BenchFile };
  node: { readonly ticket: string; readonly env: Readonly<Record<string, string>>; readonly folder: string };
  links: { readonly links: readonly LinkInit[] };
}

export interface MeshEndInit {
  readonly folder: string;
  readonly file?: BenchFile;
  /** Where it listens, and where others are told that it does: in front of it may be a link. */
  readonly ports?: { readonly listen: number; readonly announce: number };
}

export interface LinkInit {
  readonly port: number;
  readonly targetPort: number;
  /** Each way. */
  readonly bytesPerSecond: number;
  readonly delayMs: number;
}

export interface FetchRequest {
  /** Multiaddrs of those that have it, or of a node its id. */
  readonly from: readonly string[];
  readonly file: BenchFile;
  /** How the plain stream goes about it; a node fetches over one where this is given. @default one, at full speed */
  readonly plain?: PlainInit;
}

export interface PlainInit {
  /** Side by side, each for a part of the file, and on a connection of its own: one's buffers are not for more. @default 1 */
  readonly streams?: number;
  /** Hashes each chunk as Weft cuts them, and compares before it is written. @default false */
  readonly isVerified?: boolean;
  /** All streams together are held to it. @default as fast as they go */
  readonly bytesPerSecond?: number;
}

export interface Fetched {
  /** From the first word to the last byte that is safe on the disk. */
  readonly ms: number;
}

/** What each role says when it is open. */
export interface Opened {
  /** Multiaddr with its /p2p/ part; of a node its API's address and key, of bitswap what it has. */
  readonly address: string;
  readonly key?: string;
  readonly cid?: string;
}

/** The most that the process took since it was last asked, in MB (10^6 bytes), and its processor time since then. */
export interface Taken {
  readonly heapExternalMb: number;
  readonly residentMb: number;
  readonly cpuMs: number;
}

export type ChildRequest =
  | {
      readonly [Role in keyof Roles]: { readonly kind: 'open'; readonly role: Role; readonly init: Roles[Role] };
    }[keyof Roles]
  | { readonly kind: 'fetch'; readonly request: FetchRequest & { readonly cid?: string } }
  | { readonly kind: 'begin'; readonly request: FetchRequest }
  | { readonly kind: 'moved' }
  | { readonly kind: 'end' }
  | { readonly kind: 'idle' }
  | { readonly kind: 'taken' };

export type ChildReply = { readonly id: number } & ({ readonly result: unknown } | { readonly error: string });

export class TransferProcess {
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>();
  #nextId = 1;

  constructor() {
    this.#child = fork(CHILD, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (message) => {
      const reply = message as ChildReply;
      const asked = this.#asked.get(reply.id);
      this.#asked.delete(reply.id);
      if ('error' in reply) asked?.reject(new Error(reply.error));
      else asked?.resolve(reply.result);
    });
    this.#child.once('exit', (code, signal) => {
      for (const asked of this.#asked.values()) asked.reject(new Error(`The process ended with ${signal ?? code}.`));
      this.#asked.clear();
    });
  }

  open<Role extends keyof Roles>(role: Role, init: Roles[Role]): Promise<Opened> {
    return this.#ask({ kind: 'open', role, init } as ChildRequest) as Promise<Opened>;
  }

  fetch(request: FetchRequest & { readonly cid?: string }): Promise<Fetched> {
    return this.#ask({ kind: 'fetch', request }) as Promise<Fetched>;
  }

  /** Begins a fetch that {@link end} stops, and resolves when its first bytes are there. */
  async begin(request: FetchRequest): Promise<void> {
    await this.#ask({ kind: 'begin', request });
  }

  /** Bytes that the fetch under way has verified and written so far. */
  moved(): Promise<number> {
    return this.#ask({ kind: 'moved' }) as Promise<number>;
  }

  async end(): Promise<void> {
    await this.#ask({ kind: 'end' });
  }

  /** Heap and external memory that is left of a process that does nothing once everything is collected, in MB. */
  idleMb(): Promise<number> {
    return this.#ask({ kind: 'idle' }) as Promise<number>;
  }

  taken(): Promise<Taken> {
    return this.#ask({ kind: 'taken' }) as Promise<Taken>;
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }

  #ask(request: ChildRequest): Promise<unknown> {
    const id = this.#nextId++;
    const asked = Promise.withResolvers<unknown>();
    this.#asked.set(id, asked);
    this.#child.send({ id, ...request }, (error) => {
      if (error !== null) asked.reject(error);
    });
    return asked.promise;
  }
}
