// The pieces of a request for encoding tell how far it is.
import { describe, expect, it } from 'vitest';
import { encodePieces } from '../../../node/coordinator/encode-pieces.ts';
import type { PlacedOptions } from '../../../node/core/dispatcher.ts';
import type { EncodeRequest } from '../../../protocol/infer.ts';
import { encoding, recordingTrace } from './fakes.ts';

const piece = (rows: number): EncodeRequest => ({
  model: { id: 'org/embed', digest: `sha256:${'0'.repeat(64)}` },
  ids: new Int32Array(rows),
  lengths: new Int32Array(rows).fill(1),
  pooling: 'mean',
  normalize: true,
});

type Script = (rows: number, options: PlacedOptions) => readonly string[] | undefined;

/** Encodes pieces of so many texts; the script tells of each, and may name the nodes that it was done on. */
async function encoded(rows: readonly number[], script: Script = () => undefined) {
  const { trace, seen } = recordingTrace();
  const encode = async (request: EncodeRequest, options: PlacedOptions) => {
    const nodes = script(request.lengths.length, options) ?? ['self'];
    return { ...(await encoding(request, options)), nodes };
  };
  const options = { signal: new AbortController().signal, requestId: 'req_test', trace };
  const results = await encodePieces({ encode }, rows.map(piece), options);
  expect(results.map(({ embeddings }) => embeddings.length)).toEqual(rows);
  return seen.progress;
}

describe('the progress of an encoding', () => {
  it('is not told of one piece that one node does: its answer says it', async () => {
    expect(await encoded([40])).toBeUndefined();
  });

  it('is told of one piece that is spread, as dispatch tells it, and once when all is done', async () => {
    const told = await encoded([40], (rows, { onProgress }) => {
      onProgress?.(8, rows, new Map([['a', 8]]));
      onProgress?.(20, rows);
      onProgress?.(40, rows);
      return ['a', 'b'];
    });
    expect(told).toEqual([
      { done: 8, total: 40, byNode: new Map([['a', 8]]) },
      { done: 20, total: 40 },
      { done: 40, total: 40 },
    ]);
  });

  it('is told after each of several pieces, with what each node has done', async () => {
    let next = 0;
    const told = await encoded([10, 20, 30], () => [['a'], ['b'], ['a']][next++]);
    expect(told?.map(({ done, total }) => [done, total])).toEqual([
      [10, 60],
      [30, 60],
      [60, 60],
    ]);
    expect(told?.at(-1)?.byNode).toEqual(
      new Map([
        ['a', 40],
        ['b', 20],
      ]),
    );
  });

  it('says nothing of nodes where it is not known who did a piece', async () => {
    const told = await encoded([10, 20], (rows) => (rows === 10 ? ['a', 'b'] : ['b']));
    expect(told).toEqual([
      { done: 10, total: 30 },
      { done: 30, total: 30 },
    ]);
  });
});
