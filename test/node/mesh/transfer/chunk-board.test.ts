import { describe, expect, it } from 'vitest';
import type { ChunkSink } from '../../../../node/core/transfer.ts';
import { type Chunk, ChunkBoard } from '../../../../node/mesh/transfer/chunk-board.ts';

const sink: ChunkSink = { has: () => false, write: async () => true };
const file = { sha256: 'a'.repeat(64), sizeBytes: 25, chunks: { sizeBytes: 10, sha256: undefined } };

describe('the board of chunks', () => {
  it('counts a chunk once, however many sources have brought it', () => {
    const board = new ChunkBoard([{ file, sink }]);
    const [first, second, third] = board.chunks as [Chunk, Chunk, Chunk];
    board.done(first);
    board.done(first);
    board.done(second);
    expect(board.isDone).toBe(false);
    expect(board.doneBytes).toBe(20);
    board.done(third);
    board.done(third);
    expect(board.isDone).toBe(true);
    expect(board.doneBytes).toBe(board.totalBytes);
  });
});
