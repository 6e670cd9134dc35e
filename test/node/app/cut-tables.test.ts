// Which tables of cuts dispatch knows, and when new ones are measured.
import { describe, expect, it } from 'vitest';
import { EngineCutTables } from '../../../node/app/cut-tables.ts';
import type { TableWish } from '../../../node/core/cut-tables.ts';
import type { CutsOptions } from '../../../node/core/engine.ts';
import { silentLog } from '../../../node/core/log.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { RUN_X, TABLE, tensorOf } from '../dispatch/cut-world.ts';

const { model, inputs } = RUN_X;
const { signal } = new AbortController();

/** @param measured gives the table, or fails */
function make({ measures = true, offers = true, measured = async () => TABLE } = {}) {
  const asked: CutsOptions[] = [];
  const askedPeers: TableWish[] = [];
  const tables = new EngineCutTables(
    {
      log: silentLog,
      engine: {
        cuts: (_ref, options) => {
          asked.push(options);
          return measured();
        },
        cutsObserved: async (table) => table,
        offers: () => (offers ? ([{ model }] as never) : []),
      },
      peers: {
        ask: async (_model, wish) => {
          askedPeers.push(wish);
          return { ...TABLE, node: 'peer' };
        },
      },
    },
    { measures: () => measures },
  );
  return { asked, askedPeers, tables };
}

/** What was begun has ended. */
const settled = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

describe('tables of cuts', () => {
  it('are measured for requests whose shapes come again, and found from then on', async () => {
    const { asked, tables } = make();
    expect(tables.known(model, { inputs })).toBeUndefined();
    expect(tables.known(model, { inputs: inputs.toReversed() })).toBeUndefined();
    expect(asked).toEqual([]);
    expect(tables.known(model, { inputs })).toBeUndefined();
    expect(asked.map(({ sample }) => sample)).toEqual([inputs]);
    await settled();
    expect(tables.known(model, { inputs: inputs.toReversed() })).toBe(TABLE);
    const longer = [tensorOf('x', 1), { ...tensorOf('m', 1), dims: [2], data: new Uint8Array(8) }];
    expect(tables.known(model, { inputs: longer })).toBeUndefined();
  });

  it('are tried once where they can not be measured', async () => {
    const { asked, tables } = make({
      measured: () => Promise.reject(new WeftError({ code: 'unsupported', message: 'It has no sample.' })),
    });
    for (let request = 0; request < 10; request++) {
      tables.known(model, { inputs });
      await settled();
    }
    expect(asked).toHaveLength(1);
  });

  it.each([{ measures: false }, { offers: false }])('are not measured unasked with %j', async (init) => {
    const { asked, tables } = make(init);
    for (let request = 0; request < 10; request++) tables.known(model, { inputs });
    expect(asked).toEqual([]);
  });

  it('are measured at once, and anew, for who asks for it', async () => {
    const { asked, tables } = make({ measures: false });
    expect(await tables.measure(model, { signal, inputs })).toBe(TABLE);
    expect(await tables.measure(model, { signal, again: true })).toBe(TABLE);
    expect(asked).toEqual([
      { signal, sample: inputs },
      { signal, refresh: true },
    ]);
    expect(tables.known(model, { inputs })).toBe(TABLE);
  });

  it('are apart by what is to stay here', async () => {
    const { asked, tables } = make({ measures: false });
    await tables.measure(model, { signal, inputs, raw: ['x'], urgent: true });
    expect(asked).toEqual([{ signal, sample: inputs, raw: ['x'], urgent: true }]);
    expect(tables.known(model, { inputs })).toBeUndefined();
    expect(tables.known(model, { inputs, raw: ['x'] })).toBe(TABLE);
  });

  it('are asked of peers, once, where the model is not here', async () => {
    const { asked, askedPeers, tables } = make({ offers: false });
    expect(tables.known(model, { inputs })).toBeUndefined();
    const table = await tables.measure(model, { signal, inputs });
    expect(table.node).toBe('peer');
    expect(await tables.measure(model, { signal, inputs })).toBe(table);
    expect(tables.known(model, { inputs })).toBe(table);
    expect(askedPeers).toHaveLength(1);
    expect(asked).toEqual([]);
  });

  it('of another device are not corrected by what parts take here', async () => {
    const { tables } = make({ offers: false });
    const table = await tables.measure(model, { signal, inputs });
    for (let run = 0; run < 20; run++) tables.observed(table, { from: 0, to: 1, ms: 500 });
    await settled();
    expect(tables.known(model, { inputs })).toBe(table);
  });

  it('end with the node', async () => {
    const { asked, tables } = make({ measured: () => new Promise(() => undefined) as never });
    for (let request = 0; request < 3; request++) tables.known(model, { inputs });
    void tables.stop();
    expect(asked[0]?.signal.aborted).toBe(true);
  });
});
