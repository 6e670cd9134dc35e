// Tables of cuts from other nodes, over real connections: who is asked, what goes out, and what is believed.
import { afterEach, describe, expect, it } from 'vitest';
import { PeerCutTables } from '../../../node/app/peer-cut-tables.ts';
import type { CutTables } from '../../../node/core/cut-tables.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { Mesh } from '../../../node/core/mesh.ts';
import type { Policy } from '../../../node/core/policy.ts';
import { serveCuts } from '../../../node/mesh/serve-cuts.ts';
import type { CutTable } from '../../../protocol/cut-table.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { RUN_X, TABLE } from '../dispatch/cut-world.ts';
import { allowAll, startPair, stopAll } from '../mesh/support.ts';
import { IDLE, offer, peer } from '../scheduler/builders.ts';

const { model, inputs } = RUN_X;
const { signal } = new AbortController();

type Measured = Parameters<CutTables['measure']>[1];

/** A node that asks one that has the graph. @param init.answer what it measures */
async function asking(
  init: {
    readonly answer?: () => CutTable;
    readonly policy?: Policy;
    readonly isHere?: boolean;
    readonly shares?: boolean;
  } = {},
) {
  const { answer = () => TABLE, policy = allowAll, isHere = true, shares = true } = init;
  const measured: Measured[] = [];
  const { a, b } = await startPair({
    prepare: (mesh) =>
      serveCuts({
        mesh,
        policy,
        isHere: () => isHere,
        shares: () => shares,
        cuts: {
          measure: async (_model, options) => {
            measured.push(options);
            return answer();
          },
        },
      }),
  });
  const mesh: Pick<Mesh, 'peers' | 'call'> = {
    peers: () => [peer(a.key.node, { offers: [offer({ model })] })],
    call: b.mesh.call.bind(b.mesh),
  };
  return { tables: new PeerCutTables({ log: silentLog, mesh }), measured, node: a.key.node };
}

afterEach(stopAll);

describe('a table of a peer', () => {
  it('is of the shapes alone: no data leaves', async () => {
    const { tables, measured, node } = await asking();
    const table = await tables.ask(model, { inputs, raw: ['x'] }, signal);
    expect(table).toEqual({ ...TABLE, node });
    expect(measured).toEqual([
      {
        signal: expect.any(AbortSignal),
        urgent: true,
        inputs: inputs.map(({ name, type, dims }) => ({ name, type, dims })),
        raw: ['x'],
      },
    ]);
  });

  it('says whose device it is of, whatever the peer says', async () => {
    const { tables, node } = await asking({ answer: () => ({ ...TABLE }) });
    expect((await tables.ask(model, {}, signal)).node).toBe(node);
  });

  it.each([
    ['of another model', { ...TABLE, model: { id: 'a/b', digest: `sha256:${'0'.repeat(64)}` } }],
    ['of other inputs', { ...TABLE, shapes: 'x:float32[9]' }],
    [
      'whose tensors go backwards',
      { ...TABLE, tensors: [...TABLE.tensors, { ...TABLE.tensors[4], name: 'q', to: [0] }] },
    ],
    [
      'whose tensors leave the chain',
      { ...TABLE, tensors: [...TABLE.tensors, { ...TABLE.tensors[4], name: 'q', to: [9] }] },
    ],
    ['that names a tensor twice', { ...TABLE, tensors: [...TABLE.tensors, TABLE.tensors[0]] }],
    ['whose weights are of segments that are not there', { ...TABLE, shared: [{ bytes: 1, segments: [0, 40] }] }],
  ])('%s is refused', async (_what, table) => {
    const { tables } = await asking({ answer: () => table as CutTable });
    await expect(tables.ask(model, { inputs }, signal)).rejects.toMatchObject({ code: 'frame_invalid' });
  });

  it('that is no table is refused', async () => {
    const { tables } = await asking({ answer: () => ({ segments: 'many' }) as never });
    await expect(tables.ask(model, { inputs }, signal)).rejects.toMatchObject({ code: 'internal' });
  });

  it('is for who may run the model, at a node that runs it', async () => {
    const forbidden: Policy = {
      authorize: (_caller, { method }) => {
        if (method === 'run') throw new WeftError({ code: 'forbidden', message: 'Not for you.' });
      },
    };
    const { tables, measured } = await asking({ policy: forbidden });
    await expect(tables.ask(model, { inputs }, signal)).rejects.toMatchObject({ code: 'forbidden' });
    const elsewhere = await asking({ isHere: false });
    await expect(elsewhere.tables.ask(model, { inputs }, signal)).rejects.toMatchObject({ code: 'model_not_found' });
    expect([measured, elsewhere.measured]).toEqual([[], []]);
  });
});

describe('a node whose owner lends it to nobody', () => {
  it('measures nothing for others, and its twin that lends does', async () => {
    const { tables, measured } = await asking({ shares: false });
    await expect(tables.ask(model, { inputs }, signal)).rejects.toMatchObject({
      code: 'model_not_found',
      message: expect.stringContaining('lends it to nobody'),
    });
    expect(measured).toEqual([]);
    const twin = await asking({ shares: true });
    await twin.tables.ask(model, { inputs }, signal);
    expect(twin.measured).toHaveLength(1);
  });
});

describe('who is asked', () => {
  const told = (peers: ReturnType<Mesh['peers']>, fails: readonly string[] = []) => {
    const asked: string[] = [];
    const call = async (node: string) => {
      asked.push(node);
      if (fails.includes(node)) throw new WeftError({ code: 'peer_timeout', message: 'Nothing came.' });
      return { tableJson: JSON.stringify(TABLE) };
    };
    const mesh = { peers: () => peers, call: call as never };
    return { tables: new PeerCutTables({ log: silentLog, mesh }), asked };
  };
  const has = (node: string, queuedMs = 0) => peer(node, { offers: [offer({ model })], load: { ...IDLE, queuedMs } });

  it('are those that run it, the one with the least to do first, and the next where it fails', async () => {
    const peers = [
      has('busy', 900),
      peer('lacks', { offers: [] }),
      has('idle'),
      { ...has('gone'), state: 'gone' as const },
    ];
    const { tables, asked } = told(peers, ['idle']);
    expect((await tables.ask(model, { inputs }, signal)).node).toBe('busy');
    expect(asked).toEqual(['idle', 'busy']);
  });

  it('is nobody where nobody runs it', async () => {
    const { tables, asked } = told([peer('lacks', { offers: [] })]);
    await expect(tables.ask(model, { inputs }, signal)).rejects.toMatchObject({
      code: 'model_not_found',
      message: expect.stringContaining(model.id),
    });
    expect(asked).toEqual([]);
  });

  it('are a few at most', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const { tables, asked } = told(
      names.map((name) => has(name)),
      names,
    );
    await expect(tables.ask(model, { inputs }, signal)).rejects.toMatchObject({ code: 'peer_timeout' });
    expect(asked).toEqual(['a', 'b', 'c']);
  });
});
