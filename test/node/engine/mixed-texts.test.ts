// Texts of many requests, of all lengths, some of them cancelled, on the bundled encoder in a real runner.
import { describe, expect, it } from 'vitest';
import { maxDifference } from '../../compliance/engine.ts';
import { encodeRequest, textsOf, workOptions } from '../../compliance/engine-requests.ts';
import { seededRandom } from '../../support/seeded.ts';
import { minilm, startEngine } from './support.ts';

describe('texts of many requests', () => {
  it('are each answered once, as alone, whoever shared their batches and left', async () => {
    const random = seededRandom('mixed texts');
    const encoder = await minilm();
    await using started = await startEngine([encoder]);
    const { engine } = started;
    const texts = textsOf(Array.from({ length: 48 }, () => random.between(3, 90)));
    // All that is known of the encoder when the others come, so that windows open and batches are formed by cost.
    const reference = await Promise.all(
      texts.map((text) => engine.encode(encodeRequest(encoder.ref, [text]), workOptions())),
    );
    const requests = texts.map((text, index) => {
      const abort = new AbortController();
      const request = { ...encodeRequest(encoder.ref, [text]), normalize: index % 5 !== 0 };
      return { abort, answer: engine.encode(request, workOptions({ signal: abort.signal })), gone: index % 4 === 3 };
    });
    const settled = Promise.allSettled(requests.map(({ answer }) => answer));
    await requests[0]?.answer;
    for (const { abort, gone } of requests) if (gone) abort.abort();
    for (const [index, result] of (await settled).entries()) {
      if (result.status === 'rejected') {
        expect([requests[index]?.gone, result.reason]).toEqual([true, expect.objectContaining({ code: 'cancelled' })]);
        continue;
      }
      const { embeddings } = result.value;
      const length = index % 5 === 0 ? Math.hypot(...embeddings) : 1;
      const alone = reference[index]?.embeddings ?? new Float32Array(0);
      expect(
        maxDifference(
          embeddings.map((value) => value / length),
          alone,
        ),
      ).toBeLessThan(1e-4);
    }
    // Nothing is left behind: the engine is idle.
    expect(engine.load()).toMatchObject({ requestsInFlight: 0, queuedMs: 0 });
  });
});
