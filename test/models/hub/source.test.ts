// A hub as a source of chunks, and all that it can get wrong. Guards have twins in which they are left out.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChunkSource } from '../../../node/core/transfer.ts';
import type { WeftError } from '../../../protocol/errors.ts';
import type { LieKind } from '../../support/hub-lies.ts';
import { runs } from '../../support/property.ts';
import { CHUNK, chunk, failure, ID, never, openClient, openScene, openWeights, WEIGHTS, weightsOf } from './support.ts';

const BYTES = /^\/Owner\/tiny-model\/[0-9a-f]{64}/;

describe('chunks from the hub', () => {
  it('are those of the file', async () => {
    const { client, hub } = await openScene();
    const model = await client.model(ID, undefined, never);
    const source: ChunkSource = client.source(model);
    expect(source).toMatchObject({ kind: 'hub', name: new URL(hub.url).host, parallelMax: 4 });
    const file = weightsOf(model);
    const other = { ...file, sha256: '0'.repeat(64) };
    const longer = { ...file, sizeBytes: file.sizeBytes + 1 };
    expect(await source.holdings([file, other, longer], never)).toEqual(['all', 'none', 'none']);
    const pieces = await Promise.all([0, 1, 2, 3, 4].map((index) => source.read(file, index, { signal: never })));
    expect(Buffer.concat(pieces).equals(WEIGHTS)).toBe(true);
    expect(pieces.every((piece) => piece.buffer.byteLength === piece.byteLength)).toBe(true);
    await expect(source.read(other, 0, { signal: never })).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(source.read(file, 5, { signal: never })).rejects.toThrow(RangeError);
  });

  it('cost one request each: the redirect is taken once', async () => {
    const scene = await openScene();
    const read = await openWeights(scene);
    for (const index of [0, 1, 2]) await read(index);
    const files = scene.hub.requests.filter(({ path }) => !path.startsWith('/api/'));
    expect(files.map(({ server }) => server)).toEqual(['hub', 'cdn', 'cdn', 'cdn']);
    expect(files.map(({ headers }) => headers['if-range']?.slice(0, 5))).toEqual([
      undefined,
      undefined,
      '"cdn-',
      '"cdn-',
    ]);
    scene.clock.advance(600_001);
    await read(3);
    expect(scene.hub.requests.slice(-2).map(({ server }) => server)).toEqual(['hub', 'cdn']);
  });

  it('are asked for plainly where If-Range is not understood', async () => {
    const scene = await openScene();
    const read = await openWeights(scene);
    await read(0);
    scene.hub.lie({ kind: 'whole', times: 1, on: BYTES });
    expect(await read(1)).toEqual(new Uint8Array(chunk(1)));
    expect(await read(2)).toEqual(new Uint8Array(chunk(2)));
    const asked = scene.hub.requests.slice(-3).map(({ headers }) => headers['if-range'] !== undefined);
    expect(asked).toEqual([true, false, false]);
  });

  it('are asked for anew when a signed address has expired', async () => {
    const scene = await openScene();
    const read = await openWeights(scene);
    await read(0);
    scene.hub.lie({ kind: 'fail', status: 403, times: 1, on: BYTES });
    expect(await read(1)).toEqual(new Uint8Array(chunk(1)));
    expect(scene.hub.requests.slice(-3).map(({ server }) => server)).toEqual(['cdn', 'hub', 'cdn']);
  });

  it('go on where a connection broke, and tell of each byte once', async () => {
    const scene = await openScene();
    const read = await openWeights(scene);
    scene.hub.lie({ kind: 'truncate', times: 1, afterBytes: 40_000, on: BYTES });
    scene.hub.lie({ kind: 'short', times: 1, afterBytes: 10_000, on: BYTES });
    let told = 0;
    const bytes = await read(2, never, (count) => {
      told += count;
    });
    expect(bytes).toEqual(new Uint8Array(chunk(2)));
    expect(told).toBe(CHUNK);
    const ranges = scene.hub.requests.flatMap(({ server, headers }) => (server === 'cdn' ? [headers.range] : []));
    expect(ranges).toHaveLength(3);
    expect(ranges[2]).toMatch(new RegExp(`^bytes=(?!${2 * CHUNK}-)\\d+-${3 * CHUNK - 1}$`));
  });

  it('come through whatever breaks, in any order', async () => {
    const scene = await openScene({ limits: { stallMs: 50, headersMs: 50 } });
    const read = await openWeights(scene);
    const fault = fc.record({
      kind: fc.constantFrom<LieKind>('truncate', 'short', 'stall', 'silent', 'fail', 'throttle'),
      afterBytes: fc.integer({ min: 0, max: CHUNK }),
      status: fc.constantFrom(500, 502, 503, 504),
      times: fc.constant(1),
      on: fc.constantFrom(BYTES, /\/resolve\//),
    });
    await fc.assert(
      fc.asyncProperty(fc.nat(4), fc.array(fault, { maxLength: 4 }), async (index, faults) => {
        scene.hub.honest();
        for (const lie of faults) scene.hub.lie(lie);
        let told = 0;
        const bytes = await read(index, never, (count) => {
          told += count;
        });
        expect(Buffer.from(bytes).equals(chunk(index))).toBe(true);
        expect(told).toBe(bytes.length);
      }),
      runs(12),
    );
  });

  it('end when nothing more comes, however often it is tried', async () => {
    const scene = await openScene({ limits: { stallMs: 50, attemptsMax: 3 } });
    const read = await openWeights(scene);
    scene.hub.lie({ kind: 'stall', afterBytes: 10, on: BYTES });
    await expect(read(0)).rejects.toMatchObject(failure('hub_unreachable', /stopped sending/));
    expect(scene.clock.pauses).toEqual([500, 1000]);
  });

  it('end when they drip, after as long as so many bytes may take', async () => {
    const scene = await openScene();
    const read = await openWeights(scene);
    const slow = scene.hub.lie({ kind: 'slow', bytesPerSecond: 1000, on: BYTES });
    let tries = 0;
    // Each try gets bytes now and then, and is never silent long enough to count as stalled.
    const asked = read(0, never, () => {
      if (slow.times > tries) {
        tries = slow.times;
        scene.clock.expire();
      }
    });
    await expect(asked).rejects.toMatchObject(failure('hub_unreachable', /too slowly/));
    expect(tries).toBe(5);
    expect(scene.clock.deadlines).toBe(0);
  });

  it.each<[LieKind, RegExp]>([
    ['truncate', /broke the connection off/],
    ['fail', /fails with status 500/],
  ])('end when %s goes on', async (kind, pattern) => {
    const scene = await openScene();
    const read = await openWeights(scene);
    scene.hub.lie({ kind, afterBytes: 0, on: BYTES });
    await expect(read(0)).rejects.toMatchObject(failure('hub_unreachable', pattern));
    expect(scene.clock.pauses).toEqual([500, 1000, 2000, 4000]);
  });

  it('come over a bad link as long as each connection brings some', async () => {
    const scene = await openScene({ limits: { attemptsMax: 2, progressBytes: 1000 } });
    const read = await openWeights(scene);
    const told = scene.hub.lie({ kind: 'short', afterBytes: 5000, on: BYTES });
    expect(await read(0)).toEqual(new Uint8Array(chunk(0)));
    expect(told.times).toBe(Math.ceil(CHUNK / 5000));
  });

  it('end with the reason of the signal, in the middle of a body and of a pause', async () => {
    const scene = await openScene();
    const read = await openWeights(scene);
    const controller = new AbortController();
    const reason = new Error('enough');
    scene.hub.lie({ kind: 'stall', afterBytes: 100, on: BYTES, times: 1 });
    await expect(read(0, controller.signal, () => controller.abort(reason))).rejects.toBe(reason);

    const second = new AbortController();
    scene.clock.patient = true;
    scene.hub.lie({ kind: 'fail', status: 503, on: BYTES });
    const asked = read(1, second.signal);
    await expect.poll(() => scene.clock.pauses.length).toBe(1);
    second.abort(reason);
    await expect(asked).rejects.toBe(reason);
  });
});

describe('a hub that lies about a range', () => {
  /** Reads two chunks with these lies about the second one. */
  const attack = async (kind: LieKind, on: RegExp, guarded: boolean): Promise<Uint8Array> => {
    const { hub, client } = await openScene(guarded ? {} : { guards: { piece: () => undefined } });
    const model = await client.model(ID, undefined, never);
    const file = weightsOf(model);
    const source = client.source(model);
    if (on === BYTES) await source.read(file, 0, { signal: never });
    hub.lie({ kind, on });
    return source.read(file, 1, { signal: never });
  };

  it.each<[LieKind, RegExp, RegExp]>([
    ['etag', BYTES, /changed while it was fetched/],
    ['no-etag', BYTES, /changed while it was fetched/],
    ['range', BYTES, /another range/],
    ['gzip', BYTES, /compressed/],
    ['linked-etag', /\/resolve\//, /another digest/],
    ['commit', /\/resolve\//, /another commit/],
  ])('by %s is refused, and believed where nothing checks it', async (kind, on, pattern) => {
    await expect(attack(kind, on, true)).rejects.toMatchObject(failure('model_corrupt', pattern));
    expect(await attack(kind, on, false)).toHaveLength(CHUNK);
  });

  it('by the whole file instead of a range is refused', async () => {
    await expect(attack('whole', BYTES, true)).rejects.toMatchObject(failure('model_corrupt', /came whole/));
    await expect(attack('changed', BYTES, true)).rejects.toMatchObject(failure('model_corrupt', /changed while/));
    await expect(attack('whole', /./, true)).rejects.toMatchObject(failure('model_corrupt', /came whole/));
  });

  it.each([true, false])('by changing the file between ranges (guarded: %s)', async (guarded) => {
    const { hub, client } = await openScene(guarded ? {} : { guards: { piece: () => undefined } });
    const read = await openWeights({ client });
    await read(0);
    hub.lie({ kind: 'etag', on: BYTES });
    hub.lie({ kind: 'wrong-bytes', on: BYTES });
    if (guarded) await expect(read(1)).rejects.toMatchObject(failure('model_corrupt', /changed while/));
    // A part of one file, and a part of another.
    else expect(await read(1)).not.toEqual(new Uint8Array(chunk(1)));
  });

  it('by more bytes than it has is cut off', async () => {
    await expect(attack('long', BYTES, true)).rejects.toMatchObject(failure('model_corrupt', /more bytes/));
  });

  it('by a size that it has not is found out', async () => {
    const scene = await openScene();
    scene.hub.lie({ kind: 'size' });
    const read = await openWeights(scene);
    await expect(read(0)).rejects.toMatchObject(failure('model_corrupt', /another size/));
  });
});

describe('a hub that throttles', () => {
  it('is left alone for as long as it says', async () => {
    const scene = await openScene();
    scene.hub.lie({ kind: 'throttle', retryAfter: '7', times: 1 });
    scene.hub.lie({ kind: 'throttle', retryAfter: 'Thu, 01 Jan 2026 00:00:20 GMT', times: 1 });
    await scene.client.model(ID, undefined, never);
    expect(scene.clock.pauses).toHaveLength(2);
    expect(scene.clock.pauses[0]).toBeCloseTo(7000, -2);
    expect(scene.clock.pauses[1]).toBeCloseTo(20_000, -2);
  });

  it('is left alone by the other requests as well', async () => {
    const scene = await openScene();
    const read = await openWeights(scene);
    await read(0);
    scene.clock.patient = true;
    scene.hub.lie({ kind: 'throttle', retryAfter: '60', times: 1 });
    const controller = new AbortController();
    const first = read(1, controller.signal);
    await expect.poll(() => scene.clock.pauses.length).toBe(1);
    const before = scene.hub.requests.length;
    const second = read(2, controller.signal);
    await expect.poll(() => scene.clock.pauses.length).toBe(2);
    expect(scene.hub.requests).toHaveLength(before);
    controller.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    await expect(second).rejects.toThrow('enough');
  });

  it('for longer than a pull waits is reported at once, with the time', async () => {
    const { hub, client, clock } = await openScene();
    hub.lie({ kind: 'throttle', retryAfter: '3600' });
    const error: WeftError = await client.model(ID, undefined, never).catch((thrown) => thrown);
    expect(error).toMatchObject(failure('hub_unreachable', /no more requests from here for 3600 s/));
    expect(error.facts.retryAfterSeconds).toBe('3600');
    expect(error.remedy).toContain('HF_TOKEN');
    expect(clock.pauses).toEqual([]);
    expect(hub.requests).toHaveLength(1);
  });

  it('again and again is given up in the end', async () => {
    const { hub, client, clock } = await openScene({ limits: { attemptsMax: 100 } });
    hub.lie({ kind: 'throttle', retryAfter: '100' });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject({ code: 'hub_unreachable' });
    expect(clock.pauses).toHaveLength(3);
    const impatient = openClient({ endpoint: hub.url });
    hub.honest();
    hub.lie({ kind: 'throttle' });
    await expect(impatient.model(ID, undefined, never)).rejects.toMatchObject(failure('hub_unreachable', /throttles/));
  });
});
