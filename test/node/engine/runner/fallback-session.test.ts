import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { FALLBACK_PAUSE_MS } from '../../../../node/engine/devices/limits.ts';
import { FallbackSession } from '../../../../node/engine/runner/fallback-session.ts';

type Results = InferenceSession.ReturnType;

/** A session that answers as it is told, and notes what becomes of it. */
class FakeSession implements InferenceSession {
  readonly inputNames = ['x'];
  readonly outputNames = ['y'];
  readonly inputMetadata = [];
  readonly outputMetadata = [];
  released = 0;
  runs = 0;
  answer: () => Promise<Results>;

  constructor(answer: () => Promise<Results>) {
    this.answer = answer;
  }

  run(): Promise<Results> {
    this.runs++;
    return this.answer();
  }

  async release(): Promise<void> {
    this.released++;
  }

  startProfiling(): void {
    /* nothing to time */
  }

  endProfiling(): void {
    /* nothing to time */
  }
}

const giving = (...values: number[]) => {
  const y = new Tensor('float32', Float32Array.from(values), [values.length]);
  return async (): Promise<Results> => ({ y });
};
const failing = (message: string) => () => Promise.reject(new Error(message));
const feeds = { x: new Tensor('float32', Float32Array.of(1), [1]) };

function on(device: FakeSession, answer: () => Promise<Results>) {
  const clock = { now: 1 };
  const opened: FakeSession[] = [];
  const session = new FallbackSession({
    session: device,
    provider: 'webgpu',
    openOnProcessor: async () => {
      const processor = new FakeSession(answer);
      opened.push(processor);
      return processor;
    },
    now: () => clock.now,
  });
  return { session, opened, clock };
}

const valuesOf = ({ y }: Results): number[] => [...((y as Tensor).data as Float32Array)];

describe('a session on a device', () => {
  it('stays there while it works', async () => {
    const device = new FakeSession(giving(1));
    const { session, opened } = on(device, giving(2));
    await session.trial(feeds);
    expect(valuesOf(await session.run(feeds))).toEqual([1]);
    expect([session.provider, session.fallbackReason, opened.length]).toEqual(['webgpu', undefined, 0]);
  });

  it('goes on on the processor when the device fails, with this request and all that follow', async () => {
    const device = new FakeSession(failing('device lost at /home/me/model.onnx'));
    const { session, opened } = on(device, giving(2));
    expect(valuesOf(await session.run(feeds))).toEqual([2]);
    expect(valuesOf(await session.run(feeds))).toEqual([2]);
    expect([session.provider, session.fallbackReason]).toEqual(['cpu', 'webgpu: device lost at …']);
    expect([device.runs, device.released, opened.length]).toEqual([1, 1, 1]);
  });

  it('passes the failure on where the processor fails as well: the request is at fault', async () => {
    const device = new FakeSession(failing('wrong shape'));
    const { session, opened } = on(device, failing('wrong shape too'));
    await expect(session.run(feeds)).rejects.toThrow(/^wrong shape$/);
    expect([session.provider, device.released, opened[0]?.released]).toEqual(['webgpu', 0, 1]);
  });

  it('passes the failure on where there is no room for the processor to try', async () => {
    const device = new FakeSession(failing('wrong shape'));
    const session = new FallbackSession({
      session: device,
      provider: 'cuda',
      openOnProcessor: () => Promise.reject(new Error('out of memory')),
    });
    await expect(session.run(feeds)).rejects.toThrow('wrong shape');
    expect(session.provider).toBe('cuda');
  });

  it('does not load the model anew for every request that fails', async () => {
    const { session, opened, clock } = on(new FakeSession(failing('wrong shape')), failing('wrong shape'));
    for (let request = 0; request < 50; request++) await expect(session.run(feeds)).rejects.toThrow();
    expect(opened).toHaveLength(1);
    clock.now += FALLBACK_PAUSE_MS;
    await expect(session.run(feeds)).rejects.toThrow();
    expect(opened).toHaveLength(2);
  });

  it('is tried before anyone waits: what is not a number counts as a failure', async () => {
    const device = new FakeSession(giving(1, Number.NaN));
    const { session } = on(device, giving(1, 2));
    await session.trial(feeds);
    expect([session.provider, session.fallbackReason]).toEqual(['cpu', 'webgpu: it computes what is not a number']);
  });

  it('learns nothing from made-up inputs that the graph itself makes no number of, or refuses', async () => {
    for (const [there, here] of [
      [giving(Number.NaN), giving(Number.POSITIVE_INFINITY)],
      [failing('wrong shape'), failing('wrong shape')],
    ] as const) {
      const { session, opened } = on(new FakeSession(there), here);
      await session.trial(feeds);
      expect([session.provider, opened[0]?.released]).toEqual(['webgpu', 1]);
    }
  });

  it('compares the first request that fails, whatever the trial has done', async () => {
    const device = new FakeSession(failing('made up'));
    const answers = [failing('made up'), giving(2)];
    const { session } = on(device, () => (answers.shift() ?? failing('no more'))());
    await session.trial(feeds);
    expect(session.provider).toBe('webgpu');
    expect(valuesOf(await session.run(feeds))).toEqual([2]);
    expect(session.provider).toBe('cpu');
  });

  it('gives back infinities of a real request as they are', async () => {
    const { session } = on(new FakeSession(giving(Number.NEGATIVE_INFINITY)), giving(1));
    expect(valuesOf(await session.run(feeds))).toEqual([Number.NEGATIVE_INFINITY]);
    expect(session.provider).toBe('webgpu');
  });
});

describe('runs of several sessions', () => {
  /** Two sessions whose runs note how many of them are under way at once. */
  function counted() {
    const seen = { now: 0, most: 0 };
    const answer = async (): Promise<Results> => {
      seen.most = Math.max(seen.most, ++seen.now);
      await new Promise((resolve) => setImmediate(resolve));
      seen.now--;
      return giving(1)();
    };
    return { seen, sessions: [new FakeSession(answer), new FakeSession(answer)] };
  }

  it('never overlap on devices', async () => {
    const { seen, sessions } = counted();
    const wrapped = sessions.map((session) => on(session, giving(1)).session);
    await Promise.all([...wrapped, ...wrapped].map((session) => session.run(feeds)));
    expect(seen.most).toBe(1);
  });

  it('would overlap without it', async () => {
    const { seen, sessions } = counted();
    await Promise.all(sessions.map((session) => session.run()));
    expect(seen.most).toBe(2);
  });

  it('go on after one that failed', async () => {
    const { session: bad } = on(new FakeSession(failing('no')), failing('no'));
    const { session: good } = on(new FakeSession(giving(3)), giving(4));
    const both = await Promise.allSettled([bad.run(feeds), good.run(feeds)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  });
});
