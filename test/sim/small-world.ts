// Small worlds for tests of the simulator itself: one entry that is too slow to be asked, a few nodes, and calls that go
// straight to one of them, whatever a policy would say.
import { PEER_METHODS } from '../../protocol/methods.ts';
import { ONE_TEXT, prepare, type SimModel, WorkRef } from './sim-models.ts';
import { type SimNodeSpec, World, type WorldInit } from './world.ts';

/** A request and an answer of 1,000 bytes. */
export const EMBED: SimModel = {
  id: 'embed',
  workMs: { median: 10, sigma: 0.3 },
  inBytes: 1_000,
  outBytes: 1_000,
  loadMs: 400,
  memoryMb: 300,
};
export const CHAT: SimModel = { ...EMBED, id: 'chat', workMs: { median: 900, sigma: 0.7 }, loadMs: 900, memoryMb: 600 };
export const PAGE: SimModel = { ...EMBED, id: 'page', workMs: { median: 350, sigma: 0.4 }, loadMs: 700, memoryMb: 500 };

export const MODELS = [EMBED, CHAT, PAGE];

/** A link of 10 ms that carries 1,000 bytes in 1 ms. */
export function spec(name: string, changes: Partial<SimNodeSpec> = {}): SimNodeSpec {
  return {
    name,
    speed: 1,
    slots: 1,
    rttMs: [10, 10],
    mbit: 8,
    memoryMb: 4_000,
    loaded: ['embed', 'chat', 'page'],
    disk: [],
    ...changes,
  };
}

export interface SmallWorld {
  readonly world: World;
  /** `KIND node`, with the time, of everything that happened at a node, in order. */
  readonly seen: { readonly kind: string; readonly node: string; readonly atMs: number; readonly request: number }[];
  /** Calls a node now. Resolves with its answer, rejects with what it failed with. */
  call(node: string, model: SimModel, workMs: number, options?: CallOptions): Promise<Called>;
}

export interface CallOptions {
  readonly withinMs?: number;
  readonly priority?: 'interactive' | 'batch';
  readonly signal?: AbortSignal;
  readonly onAck?: () => void;
  /** @default 'entry' */
  readonly entry?: string;
}

export interface Called {
  readonly atMs: number;
  readonly queueMs: number;
  readonly loadMs: number;
  readonly computeMs: number;
}

/** An entry named `entry` with a line of a Gbit/s, and these nodes. */
export function smallWorld(nodes: readonly SimNodeSpec[], init: Partial<WorldInit> = {}): SmallWorld {
  const world = new World({ seed: 1, models: MODELS, ...init });
  const seen: SmallWorld['seen'] = [];
  world.onEvent((kind, atMs, node, request) => seen.push({ kind, atMs, node, request }));
  world.addEntry(spec('entry', { mbit: 1_000, speed: 0.01 }));
  for (const node of nodes) world.addNode(node);
  const prepared = new Map((init.models ?? MODELS).map((model) => [model.id, prepare(model)]));
  let calls = 0;
  return {
    world,
    seen,
    async call(node, { id }, workMs, { entry = 'entry', signal = new AbortController().signal, ...options } = {}) {
      const model = prepared.get(id);
      if (model === undefined) throw new RangeError(`There is no model ${id}.`);
      const request = {
        model: new WorkRef(model, workMs, 1_000 + calls++),
        ids: model.ids,
        lengths: ONE_TEXT,
        pooling: 'mean',
        normalize: false,
      } as const;
      const { mesh } = world.entry(entry);
      const call = { signal, requestId: 'req_test', ...options };
      const { timing } = await mesh.call(node, PEER_METHODS.encode, request, call);
      return { atMs: world.clock.now(), ...timing };
    },
  };
}
