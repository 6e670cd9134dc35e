// Kills a process in the middle of a pull, once or several times, and checks what is left each time: nothing corrupt, no
// chunk lost that was kept, at most one chunk per stream fetched again. For a short test and a long one.
import { type ChildProcess, fork } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { create } from '@bufbuild/protobuf';
import { expect, onTestFinished } from 'vitest';
import { CHUNK_BYTES } from '../../../models/limits.ts';
import { canonicalJson } from '../../../models/manifest.ts';
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from '../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../models/onnx/model-file.ts';
import { valueInfo } from '../../../models/onnx/tensors.ts';
import { ModelStore } from '../../../models/store.ts';
import type { CallContext, CallHandler } from '../../../node/core/calls.ts';
import { MESH_LIMITS } from '../../../node/mesh/limits.ts';
import { serveFiles } from '../../../node/mesh/serve-files.ts';
import { UNGOVERNED } from '../../../node/mesh/transfer/governor.ts';
import type { ModelOffer } from '../../../protocol/capability.ts';
import { sample } from '../../models/store/samples.ts';
import { type Hub, startHub } from '../../support/hub-server.ts';
import type { SeededRandom } from '../../support/seeded.ts';
import { until } from '../../support/wait.ts';
import { hashOf, ID, never, openNode, temporary } from './support.ts';

const CHILD = fileURLToPath(new URL('kills-child.ts', import.meta.url));

/** Weights of seven chunks and a piece: more than are under way at once. */
const WEIGHT_FLOATS = ((7 * CHUNK_BYTES) >> 2) + 1024;

/** Chunks of one download that are on their way, or being written, at once. */
export const STREAMS = MESH_LIMITS.transfer.inFlightBytesMax / CHUNK_BYTES;

/** Of a piece from the peer: a fast link, on which the hub still has its share. */
const PEER_PIECE_MS = 25;

/** When a process ends: what happened there (see the child) so often, or to so many bytes. */
export interface Moment {
  readonly what: string;
  readonly at: number;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
}

/** What a process is told to do. */
export interface Orders {
  readonly root: string;
  readonly endpoint: string;
  readonly model: string;
  /** A peer that has it too. */
  readonly giver: { readonly node: string; readonly offer: ModelOffer } | undefined;
  /** Undefined: it ends by itself. */
  readonly moment: Moment | undefined;
}

/** A call to the peer, and what it answers. */
export interface Call {
  readonly id: number;
  readonly method: string;
  readonly request: unknown;
}
export interface Answer {
  readonly id: number;
  readonly response?: unknown;
  readonly error?: string;
}

/** What the processes of one pull said, line by line. */
interface Life {
  readonly lines: readonly string[];
  readonly killed: boolean;
}

/** What several pulls did. */
export interface PullKills {
  kills: number;
  /** Processes that were stopped first. */
  stops: number;
  /** Chunks fetched again after a kill, at most. */
  againMax: number;
  /** Chunks that were asked for, of pulls that had both. */
  fromPeer: number;
  fromHub: number;
  /** Where processes ended. */
  readonly moments: Map<string, number>;
}

/** Where pulls are killed: a hub, a node that has the model, and what the model must be. */
export class PullKillRange {
  readonly done: PullKills = { kills: 0, stops: 0, againMax: 0, fromPeer: 0, fromHub: 0, moments: new Map() };
  readonly #folder: string;
  readonly #hub: Hub;
  readonly #files: ReadonlyMap<string, Uint8Array>;
  readonly #digest: string;
  readonly #giver: NonNullable<Orders['giver']>;
  readonly #handlers: ReadonlyMap<string, CallHandler<unknown, unknown, unknown>>;

  private constructor(init: {
    readonly folder: string;
    readonly hub: Hub;
    readonly files: ReadonlyMap<string, Uint8Array>;
    readonly giver: NonNullable<Orders['giver']>;
    readonly handlers: ReadonlyMap<string, CallHandler<unknown, unknown, unknown>>;
  }) {
    this.#folder = init.folder;
    this.#hub = init.hub;
    this.#files = init.files;
    this.#digest = init.giver.offer.model.digest;
    this.#giver = init.giver;
    this.#handlers = init.handlers;
  }

  /** Closed with the test. */
  static async open(seed: number): Promise<PullKillRange> {
    const folder = await temporary();
    const model = join(folder, 'hub', ...ID.split('/'));
    const contents = modelFiles(seed);
    await mkdir(join(model, 'onnx'), { recursive: true });
    for (const [path, bytes] of Object.entries(contents)) await writeFile(join(model, path), bytes);
    const hub = await startHub({ folder: join(folder, 'hub'), task: 'other' });
    onTestFinished(() => hub.close());

    // In the caged prep process, so that what the killed processes make of the same files is compared with that.
    const giver = await openNode();
    await giver.library.import({ path: model, id: ID }, { signal: never });
    const [offer] = giver.offers;
    if (offer === undefined) throw new Error('The giver has the model.');
    const handlers = new Map<string, CallHandler<unknown, unknown, unknown>>();
    const { store } = giver;
    serveFiles({
      mesh: {
        handle: (method, handler) => void handlers.set(method.name, handler as CallHandler<unknown, unknown, unknown>),
      },
      governor: UNGOVERNED,
      files: {
        manifestJson: (digest) => {
          const installed = store.byDigest(digest);
          return installed && canonicalJson(installed.manifest);
        },
        signatures: (digest) => store.signatures(digest),
        holding: (sha256) => store.holding(sha256),
        read: (sha256, offset, length) => store.read(sha256, offset, length),
      },
    });
    const files = new Map(Object.values(contents).map((bytes) => [hashOf(bytes), bytes]));
    return new PullKillRange({ folder, hub, files, handlers, giver: { node: giver.id, offer } });
  }

  /**
   * One pull, killed up to four times on its way, and then brought to its end.
   * @param withPeer a peer and the hub share the work
   */
  async run(random: SeededRandom, withPeer: boolean): Promise<void> {
    const runFolder = join(this.#folder, `run-${random.between(1, 2 ** 30)}`);
    const root = join(runFolder, 'models');
    const context = `seed ${random.seed}, ${withPeer ? 'peer and hub' : 'hub'}, after ${this.done.kills} kills`;
    const before = this.#hub.fileBytes;
    const asked = new Set<string>();
    const kept = new Set<string>();
    let kills = 0;
    for (let killsLeft = random.between(2, 4); ; killsLeft--) {
      const moment = killsLeft > 0 ? this.#moment(random) : undefined;
      const at = `${context}, ${JSON.stringify(moment)}`;
      const life = await this.#live({
        root,
        endpoint: this.#hub.url,
        model: ID,
        giver: withPeer ? this.#giver : undefined,
        moment,
      });
      const said = (what: string): readonly string[] =>
        life.lines.filter((line) => line.startsWith(`${what} `)).map((line) => line.split(' ').slice(-2).join(' '));
      expect(
        said('asked').filter((chunk) => kept.has(chunk)),
        `${at}: kept, and fetched again`,
      ).toEqual([]);
      const again = new Set(said('asked').filter((chunk) => asked.has(chunk))).size;
      this.done.againMax = Math.max(this.done.againMax, again);
      expect(again, `${at}: fetched again`).toBeLessThanOrEqual(STREAMS);
      for (const chunk of said('asked')) asked.add(chunk);
      if (withPeer) {
        this.done.fromPeer += said('asked peer').length;
        this.done.fromHub += said('asked hub').length;
      }
      for (const chunk of said('kept')) kept.add(chunk);
      const end = life.lines.find((line) => line.startsWith('end '));
      if (life.killed && end !== undefined) {
        kills++;
        this.done.kills++;
        const what = end.split(' ').slice(1, -1).join(' ');
        this.done.moments.set(what, (this.done.moments.get(what) ?? 0) + 1);
        await this.#check(root, false, at);
        continue;
      }
      const [, digest] = life.lines.find((line) => line.startsWith('done '))?.split(' ') ?? [];
      expect(digest, at).toBe(this.#digest);
      break;
    }
    await this.#check(root, true, context);
    // Of what each kill cost, the hub's part can't be more than all streams'; small files have no chunks, and come again.
    const sizes = [...this.#files.values()].map(({ byteLength }) => byteLength);
    const small = sizes.filter((size) => size < CHUNK_BYTES).reduce((sum, size) => sum + size, 0);
    const all = sizes.reduce((sum, size) => sum + size, 0);
    expect(this.#hub.fileBytes - before, `${context}: bytes of the hub`).toBeLessThanOrEqual(
      all + kills * (STREAMS * CHUNK_BYTES + small),
    );
    await rm(runFolder, { recursive: true });
  }

  /** Every phase has its share; one process of ten is stopped before it is killed. */
  #moment(random: SeededRandom): Moment {
    const weights = WEIGHT_FLOATS * 4;
    const chunks = Math.ceil(weights / CHUNK_BYTES);
    const stops = this.done.kills >= 10 * this.done.stops + 3;
    const what = random.pick([
      ...[
        'bytes',
        'bytes',
        'bytes',
        'asked',
        'writing',
        'written',
        'written',
        'finishing',
        'finished',
        'staged',
        'offered',
      ],
      ...['resolving', 'fetching', 'checking', 'installing'].map((phase) => `phase ${phase}`),
    ]);
    const most = what === 'bytes' ? weights : ['asked', 'writing', 'written'].includes(what) ? chunks : 1;
    return { what, at: random.between(1, most), signal: stops ? 'SIGSTOP' : 'SIGKILL' };
  }

  async #live(orders: Orders): Promise<Life> {
    const child = fork(CHILD, [JSON.stringify(orders)], {
      execArgv: [],
      // Each of them would compile the same files again.
      env: { ...process.env, NODE_COMPILE_CACHE: join(this.#folder, 'compiled') },
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const lines: string[] = [];
    let complaint = '';
    child.stderr?.on('data', (data) => {
      complaint += data;
    });
    const controller = new AbortController();
    child.on('message', (call: Call) => void this.#answer(child, call, controller.signal));
    let killing: Promise<void> | undefined;
    if (child.stdout === null) throw new Error('The child has an output.');
    createInterface(child.stdout).on('line', (line) => {
      lines.push(line);
      if (line.startsWith('end ') && orders.moment?.signal === 'SIGSTOP') killing = this.#killStopped(child);
    });
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (...end) => resolve(end));
    });
    controller.abort();
    await killing;
    if (code !== 0 && signal !== 'SIGKILL') throw new Error(`The child ended with ${code ?? signal}:\n${complaint}`);
    return { lines, killed: signal === 'SIGKILL' };
  }

  /** Kills it once it stands still, in the middle of whatever its peers do. */
  async #killStopped(child: ChildProcess): Promise<void> {
    const { pid } = child;
    if (process.platform === 'linux') {
      await until('the process to stop', async () => / T /.test(await readFile(`/proc/${pid}/stat`, 'utf8')));
    }
    this.done.stops++;
    child.kill('SIGKILL');
  }

  async #answer(child: ChildProcess, { id, method, request }: Call, signal: AbortSignal): Promise<void> {
    const leaving: (() => void)[] = [];
    const context: CallContext<unknown> = {
      signal,
      requestId: '',
      budgetMs: 0,
      caller: 'taker',
      afterwards: (callback) => void leaving.push(callback),
      item: () => undefined,
    };
    let answer: Answer;
    try {
      if (method === 'read-file') await sleep(PEER_PIECE_MS, undefined, { signal });
      answer = { id, response: await this.#handlers.get(method)?.(request, context) };
    } catch (error) {
      answer = { id, error: (error as Error).message };
    }
    // A process that was killed takes no answer any more.
    if (child.connected) child.send(answer, () => undefined);
    for (const callback of leaving) callback();
  }

  /** What a process that opens the store after the kill finds. */
  async #check(root: string, whole: boolean, context: string): Promise<void> {
    const log: string[] = [];
    const store = new ModelStore(
      { log: { warn: (_fields, message) => void log.push(message) } },
      { roots: [root], cacheFolder: join(root, '..', 'cache') },
    );
    await store.open();
    try {
      expect([store.problems(), log], context).toEqual([[], []]);
      for (const name of await readdir(join(root, '.blobs')).catch(() => [])) {
        expect(hashOf(await readFile(join(root, '.blobs', name))), context).toBe(name);
      }
      for (const { ref } of store.list()) {
        expect(ref.digest, context).toBe(this.#digest);
        expect(await store.damage(ref.digest, { signal: never }), context).toEqual([]);
      }
      if (!whole) {
        for (const [sha256, bytes] of this.#files) await checkServed(store, sha256, bytes, context);
        return;
      }
      expect(store.list(), context).toHaveLength(1);
      for (const name of ['.partial', '.staged']) expect(await readdir(join(root, name)), context).toEqual([]);
    } finally {
      await store.close();
    }
  }
}

/** What a store says that it has, it has, and gives as it should be. */
async function checkServed(store: ModelStore, sha256: string, bytes: Uint8Array, context: string): Promise<void> {
  const holding = store.holding(sha256);
  if (holding === undefined) return;
  const { chunks } = holding;
  for (let offset = 0, index = 0; offset < bytes.byteLength; offset += CHUNK_BYTES, index++) {
    if (chunks !== 'all' && (((chunks[index >> 3] ?? 0) >> (index & 7)) & 1) === 0) continue;
    const right = bytes.subarray(offset, offset + CHUNK_BYTES);
    const piece = await store.read(sha256, offset, right.byteLength);
    expect(piece !== undefined && Buffer.compare(piece.bytes, right) === 0, `${context}: chunk ${index}`).toBe(true);
  }
}

/** A graph whose weights lie beside it, and two small files. */
function modelFiles(seed: number): Readonly<Record<string, Uint8Array>> {
  const outputs = WEIGHT_FLOATS / 4;
  const weights = sample(seed, WEIGHT_FLOATS * 4, CHUNK_BYTES).bytes;
  const external = { location: 'model.onnx_data', offset: '0', length: String(weights.byteLength) };
  const [x, y] = [valueInfo('x', DataType.FLOAT, ['rows', 4]), valueInfo('y', DataType.FLOAT, ['rows', outputs])];
  const graph = create(GraphProtoSchema, {
    name: 'graph',
    node: [create(NodeProtoSchema, { name: 'n', opType: 'MatMul', input: ['x', 'w'], output: ['y'] })],
    initializer: [
      create(TensorProtoSchema, {
        name: 'w',
        dims: [4n, BigInt(outputs)],
        dataType: DataType.FLOAT,
        dataLocation: DataLocation.EXTERNAL,
        externalData: Object.entries(external).map(([key, value]) => ({ key, value })),
      }),
    ],
    input: [x],
    output: [y],
  });
  const file = create(ModelProtoSchema, { irVersion: 8n, opsetImport: [{ domain: '', version: 17n }], graph });
  return {
    LICENSE: Buffer.from('MIT License\n\nPermission is hereby granted, free of charge, …\n'),
    'config.json': Buffer.from('{"model_type": "tiny"}\n'),
    'onnx/model.onnx': writeModel(file),
    'onnx/model.onnx_data': weights,
  };
}
