import { describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import type { ModelOrigin } from '../../../models/store.ts';
import type { RemoteAnswer } from '../../../node/core/dispatcher.ts';
import type { PullOutcome } from '../../../node/core/library.ts';
import { silentLog } from '../../../node/core/log.ts';
import { Bringing, type BringVerdict, type Demand, type DemandComponents } from '../../../node/library/bringing.ts';
import { BRING_PAUSE_MS, DEMAND_SAMPLES_MAX, DEMAND_WINDOW_MS, LEASE_PAUSE_MS } from '../../../node/library/limits.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { ModelRef } from '../../../protocol/ids.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { MINILM, SMOL } from '../scheduler/builders.ts';

const TOKENS = { inputTokens: 10, outputTokens: 8 };

interface Here {
  readonly digest: string;
  readonly brought: boolean;
  readonly atMs?: number;
}

function scene(here: readonly Here[] = [], lease?: DemandComponents['lease']) {
  const clock = new ManualClock();
  const installed = new Map(here.map((one) => [one.digest, one]));
  const state = {
    allowed: true,
    verdict: { bring: true, reason: 'it pays' } as BringVerdict,
    inUse: new Set<string>(),
    used: new Map<string, number>(),
    /** Pulls until there is room. */
    full: 0,
    /** What the disk says then. */
    facts: {} as Readonly<Record<string, string>>,
    /** Nothing can be deleted. */
    stuck: false,
  };
  const demands: Demand[] = [];
  const pulled: ModelRef[] = [];
  const gone: string[] = [];
  let tell: ((seen: RemoteAnswer) => void) | undefined;
  const asked: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  const bringing = new Bringing({
    clock,
    log: silentLog,
    allowed: () => state.allowed,
    ...(lease && { lease }),
    decide: (demand) => {
      demands.push(demand);
      return state.verdict;
    },
    onRemote: (listener) => {
      tell = listener;
      return () => {
        tell = undefined;
      };
    },
    inUse: (digest) => state.inUse.has(digest),
    lastUsedMs: (digest) => state.used.get(digest),
    heldBytes: () => 3,
    offer: ({ ref }) => void gone.push(`offered ${ref.digest}`),
    letGo: async (digest) => void gone.push(`let go of ${digest}`),
    store: {
      list: () =>
        [...installed.keys()].map(
          (digest) => ({ ref: { id: digest, digest }, manifest: { files: [{ sizeBytes: 7 }] } }) as InstalledModel,
        ),
      byDigest: (digest) => (installed.has(digest) ? ({ ref: { id: digest, digest } } as InstalledModel) : undefined),
      origin: (digest) => {
        const one = installed.get(digest);
        return one && ({ brought: one.brought, from: 'x', atMs: one.atMs ?? 0 } satisfies ModelOrigin);
      },
      remove: async (digest) => {
        if (state.stuck) throw new WeftError({ code: 'forbidden', message: 'It is in use.' });
        installed.delete(digest);
        gone.push(`removed ${digest}`);
        return 1;
      },
    },
    pull: (model, signal) => {
      pulled.push(model);
      if (state.full-- > 0)
        return Promise.reject(new WeftError({ code: 'disk_full', message: 'No room.', facts: state.facts }));
      return new Promise<PullOutcome>((resolve, reject) => {
        asked.push({ resolve: () => resolve({} as PullOutcome), reject });
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    },
  });
  bringing.start();
  const see = (model = SMOL, ms = 100): void => tell?.({ model, node: 'there', ms, ...TOKENS });
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  return { bringing, clock, state, demands, pulled, gone, see, settle, asked, installed };
}

describe('bringing', () => {
  it('asks with the demand that was seen, and brings what pays', async () => {
    const { demands, pulled, see, state, clock } = scene();
    state.verdict = { bring: false, reason: 'too early' };
    see(SMOL, 70);
    clock.advance(10);
    expect(pulled).toEqual([]);
    state.verdict = { bring: true, reason: 'it pays' };
    see(SMOL, 90);
    expect(demands.at(-1)).toEqual({
      model: SMOL,
      requests: [
        { node: 'there', ms: 70, ...TOKENS, agoMs: 10 },
        { node: 'there', ms: 90, ...TOKENS, agoMs: 0 },
      ],
      heldBytes: 3,
      evictableBytes: 0,
      leftAgoMs: undefined,
    });
    expect(pulled).toEqual([SMOL]);
  });

  it('forgets old requests, and keeps a bounded number', () => {
    const { demands, see, state, clock } = scene();
    state.verdict = { bring: false, reason: 'never' };
    see();
    clock.advance(DEMAND_WINDOW_MS + 1);
    for (let index = 0; index < DEMAND_SAMPLES_MAX + 10; index++) see();
    expect(demands.at(-1)?.requests).toHaveLength(DEMAND_SAMPLES_MAX);
    clock.advance(DEMAND_WINDOW_MS + 1);
    see(SMOL, 7);
    expect(demands.at(-1)?.requests).toMatchObject([{ ms: 7, agoMs: 0 }]);
  });

  it('does nothing where it is not allowed, or the model is here', () => {
    const { demands, see, state, installed } = scene();
    state.allowed = false;
    see();
    state.allowed = true;
    installed.set(SMOL.digest, { digest: SMOL.digest, brought: false });
    see();
    expect(demands).toEqual([]);
  });

  it('brings one at a time, and leaves alone for a while what could not be brought', async () => {
    const { pulled, see, settle, asked, clock } = scene();
    see();
    see(MINILM);
    expect(pulled).toEqual([SMOL]);
    asked[0]?.reject(new WeftError({ code: 'peer_lost', message: 'Gone.' }));
    await settle();
    see();
    expect(pulled).toEqual([SMOL]);
    see(MINILM);
    asked[1]?.resolve();
    await settle();
    clock.advance(BRING_PAUSE_MS + 1);
    see();
    expect(pulled).toEqual([SMOL, MINILM, SMOL]);
  });

  it('asks for a lease first, and gives it back; without one it tries again later', async () => {
    let free = false;
    const told: string[] = [];
    const { pulled, see, settle, asked, clock } = scene([], async (digest) => {
      told.push(digest);
      return free ? () => void told.push('given back') : undefined;
    });
    see();
    await settle();
    see();
    expect([told, pulled]).toEqual([[SMOL.digest], []]);
    free = true;
    clock.advance(LEASE_PAUSE_MS + 1);
    see();
    await settle();
    expect(pulled).toEqual([SMOL]);
    expect(told).toHaveLength(2);
    asked[0]?.reject(new WeftError({ code: 'peer_lost', message: 'Gone.' }));
    await settle();
    expect(told.at(-1)).toBe('given back');
  });

  it('stops while it waits for a lease', async () => {
    const waiting = (_: string, signal: AbortSignal): Promise<undefined> =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const { bringing, pulled, see } = scene([], waiting);
    see();
    await bringing.stop();
    expect(pulled).toEqual([]);
  });

  it('deletes the brought model that was used least lately to make room, never what a person pulled or is in use', async () => {
    const { pulled, gone, see, settle, state, demands, asked, clock } = scene([
      { digest: 'pulled', brought: false },
      { digest: 'pinned', brought: true },
      { digest: 'fresh', brought: true, atMs: 50 },
      { digest: 'old', brought: true, atMs: 10 },
    ]);
    state.inUse.add('pinned');
    state.used.set('old', 20);
    state.full = 2;
    see();
    await settle();
    expect(gone).toEqual(['let go of old', 'removed old', 'let go of fresh', 'removed fresh']);
    expect(pulled).toEqual([SMOL, SMOL, SMOL]);
    expect(demands[0]?.evictableBytes).toBe(14);
    asked[0]?.resolve();
    await settle();
    clock.advance(5);
    see({ id: 'old', digest: 'old' });
    expect(demands.at(-1)?.leftAgoMs).toBe(5);
  });

  it('deletes nothing for a model that would not fit all the same', async () => {
    const { pulled, gone, see, settle, state } = scene([
      { digest: 'one', brought: true },
      { digest: 'two', brought: true },
    ]);
    state.full = 9;
    state.facts = { wantedBytes: String(2 ** 50), freeBytes: '100' };
    see();
    await settle();
    expect(gone).toEqual([]);
    expect(pulled).toEqual([SMOL]);
  });

  it('offers a model again that could not be deleted', async () => {
    const { gone, see, settle, state } = scene([{ digest: 'one', brought: true }]);
    state.full = 9;
    state.stuck = true;
    see();
    await settle();
    expect(gone).toEqual(['let go of one', 'offered one']);
  });

  it('gives up where nothing may go', async () => {
    const { pulled, gone, see, settle, state } = scene([{ digest: 'pulled', brought: false }]);
    state.full = 9;
    see();
    await settle();
    expect([pulled.length, gone]).toEqual([1, []]);
    see();
    expect(pulled.length).toBe(1);
  });

  it('ends with the node', async () => {
    const { bringing, pulled, see } = scene();
    see();
    await bringing.stop();
    see(MINILM);
    expect(pulled).toEqual([SMOL]);
  });
});
