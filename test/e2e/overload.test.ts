// Ten times what a node can do: it goes on serving at once what it can, refuses the rest at once, and keeps its memory.
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { connections, post, type Target } from '../support/http-load.ts';

const TEXT = Buffer.from(
  JSON.stringify({ model: 'minilm', input: 'the river was quiet when the garden opened again' }),
);

/** More requests at a time than the node takes, and ten times as many in all. */
const CLIENTS = 400;
const REQUESTS = 4_000;

interface Outcome {
  served: number;
  refused: number;
  readonly wrong: string[];
}

/** Clients that ask again as soon as they have an answer, whatever it was. */
async function storm(target: Target): Promise<Outcome> {
  const outcome: Outcome = { served: 0, refused: 0, wrong: [] };
  let left = REQUESTS;
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (left-- > 0) {
        const { status, retryAfter, body } = await post(target, '/v1/embeddings', TEXT);
        if (status === 200 && body.includes('"embedding"')) outcome.served++;
        else if ((status === 429 || status === 503) && Number(retryAfter) >= 1) outcome.refused++;
        else outcome.wrong.push(`${status} ${retryAfter}: ${body}`);
      }
    }),
  );
  return outcome;
}

const residentMegabytes = async ({ pid }: Daemon): Promise<number> =>
  Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024;

describe.skipIf(process.platform !== 'linux')('a node that is asked for ten times what it can do', () => {
  it('serves what it can, refuses the rest with the time to come back, and keeps its memory', async () => {
    const daemon = await startDaemon();
    const target: Target = { url: daemon.url, key: daemon.key, agent: connections(CLIENTS) };
    try {
      expect((await post(target, '/v1/embeddings', TEXT)).status).toBe(200);
      // The first storm makes connections, and the heap as large as they need.
      await storm(target);
      const before = await residentMegabytes(daemon);
      const outcome = await storm(target);
      expect(outcome.wrong).toEqual([]);
      expect(outcome.served).toBeGreaterThan(0);
      expect(outcome.refused).toBeGreaterThan(0);
      expect((await residentMegabytes(daemon)) - before).toBeLessThan(64);
      // It has nothing left to do, and serves the next as ever.
      expect((await post(target, '/v1/embeddings', TEXT)).status).toBe(200);
      const status = await fetch(`${daemon.url}/api/v1/status`, { headers: { authorization: `Bearer ${daemon.key}` } });
      expect(await status.json()).toMatchObject({ requestsInFlight: 0 });
    } finally {
      target.agent.destroy();
      await daemon.stop();
    }
  });
});
