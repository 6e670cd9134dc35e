// Requests over HTTP as clients make them, for benchmarks and tests of load: connections stay open, answers are read to their end.
import { Agent, request } from 'node:http';

export interface Target {
  readonly url: string;
  readonly key?: string;
  readonly agent: Agent;
}

export interface Reply {
  readonly status: number;
  readonly body: Buffer;
  readonly retryAfter: string | undefined;
}

export const connections = (most: number): Agent => new Agent({ keepAlive: true, maxSockets: most });

/** Posts a JSON body and reads the whole answer. */
export function post(target: Target, path: string, body: Buffer): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      new URL(path, target.url),
      {
        method: 'POST',
        agent: target.agent,
        headers: {
          'content-type': 'application/json',
          'content-length': body.byteLength,
          ...(target.key === undefined ? {} : { authorization: `Bearer ${target.key}` }),
        },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.once('error', reject);
        answer.once('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            body: Buffer.concat(chunks),
            retryAfter: answer.headers['retry-after'],
          }),
        );
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** Keeps `inFlight` requests under way for so long. @returns answers per second */
export async function closedLoop(inFlight: number, ms: number, call: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  let answered = 0;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() - start < ms) {
        await call();
        answered++;
      }
    }),
  );
  return (answered * 1000) / (performance.now() - start);
}

/**
 * Begins `perSecond` requests each second, whether earlier ones are answered or not.
 * @param inFlightMax where as many are under way already, one that is due is not begun
 */
export async function openLoop(
  perSecond: number,
  ms: number,
  inFlightMax: number,
  call: () => Promise<void>,
): Promise<{ readonly begun: number; readonly left: number }> {
  const start = performance.now();
  const open = new Set<Promise<void>>();
  let due = 0;
  let begun = 0;
  let left = 0;
  while (performance.now() - start < ms) {
    const target = ((performance.now() - start) / 1000) * perSecond;
    for (; due < target; due++) {
      if (open.size >= inFlightMax) {
        left++;
        continue;
      }
      begun++;
      const one = call().finally(() => open.delete(one));
      open.add(one);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(open);
  return { begun, left };
}
