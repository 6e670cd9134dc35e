// A node whose owner has paused sharing: what it says to others, and what it refuses them.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Yielding } from '../../../node/app/yielding.ts';
import { silentLog } from '../../../node/core/log.ts';
import { RemoteEngine } from '../../../node/mesh/remote-engine.ts';
import { serveEngine } from '../../../node/mesh/serve-engine.ts';
import { SharingAnswer } from '../../../protocol/api/control.ts';
import { withheldBy } from '../../../protocol/capability.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { startGateway } from '../gateway/support.ts';
import { FakeEngine } from '../mesh/fake-engine.ts';
import { allowAll, makeAdvert, makeKey, startPair, stopAll } from '../mesh/support.ts';

describe('Yielding', () => {
  let yielding: Yielding;
  const told: string[] = [];
  beforeEach(() => {
    yielding = new Yielding(
      { clock: new ManualClock(), log: silentLog, onBattery: async () => undefined, busy: () => false },
      { heeds: () => [], cores: 2 },
    );
    told.length = 0;
    yielding.onChange(() => told.push(yielding.told().join('+')));
  });

  it('tells others of a pause, and keeps it from its own requests', () => {
    yielding.pause(true);
    yielding.pause(true);
    expect(yielding.paused).toBe(true);
    expect(yielding.reasons()).toEqual([]);
    yielding.pause(false);
    expect(yielding.paused).toBe(false);
    expect(told).toEqual(['paused', '']);
  });
});

describe('a peer that has not heard of the pause', () => {
  afterEach(stopAll);
  const model = { id: 'owner/model', digest: `sha256:${'0'.repeat(64)}` };
  const options = () => ({ signal: new AbortController().signal, requestId: 'req_test' });

  async function remote(shares?: () => boolean): Promise<RemoteEngine> {
    const key = await makeKey();
    const engine = new FakeEngine(key.node);
    const { b } = await startPair({
      key,
      prepare: (mesh) => serveEngine({ mesh, engine, policy: allowAll, ...(shares === undefined ? {} : { shares }) }),
    });
    return new RemoteEngine({ mesh: b.mesh }, { node: key.node });
  }

  it('is refused, and served again afterwards', async () => {
    let paused = true;
    const engine = await remote(() => !paused);
    await expect(engine.run({ model, inputs: [], outputs: [] }, options())).rejects.toMatchObject({
      code: 'model_not_found',
    });
    paused = false;
    await engine.run({ model, inputs: [], outputs: [] }, options());
  });

  it('is served where nobody asks', async () => {
    await (await remote()).run({ model, inputs: [], outputs: [] }, options());
  });
});

describe('the peers of a node', () => {
  afterEach(stopAll);

  it('hear that it is paused, and that it is no longer', async () => {
    const key = await makeKey();
    const yielding = new Yielding(
      { clock: new ManualClock(), log: silentLog, onBattery: async () => undefined, busy: () => false },
      { heeds: () => [], cores: 2 },
    );
    const { a, b } = await startPair({
      key,
      components: { advert: () => makeAdvert(key.node, { yields: yielding.told() }) },
    });
    yielding.onChange(() => a.mesh.announce());
    const heard = (withheld: 'paused' | undefined): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          const record = b.mesh.peer(key.node);
          if (record !== undefined && withheldBy(record.advert) === withheld) resolve();
        };
        b.mesh.onPeers(look);
        look();
      });
    await heard(undefined);
    yielding.pause(true);
    await heard('paused');
    yielding.pause(false);
    await heard(undefined);
  });
});

describe('/api/v1/sharing', () => {
  it('says whether it is paused, and changes it', async () => {
    let paused = false;
    const { call } = await startGateway({
      control: {
        sharing: () => ({ paused, lends: !paused }),
        setSharing: (sharing) => {
          ({ paused } = sharing);
          return { paused, lends: !paused };
        },
      },
    });
    expect(SharingAnswer.parse(await (await call('/api/v1/sharing')).json())).toEqual({ paused: false, lends: true });
    const changed = await call('/api/v1/sharing', { paused: true });
    expect(SharingAnswer.parse(await changed.json())).toEqual({ paused: true, lends: false });
    expect(paused).toBe(true);
    for (const body of [{}, { paused: 'yes' }, { paused: true, until: 1 }]) {
      expect((await call('/api/v1/sharing', body)).status).toBe(400);
    }
  });
});
