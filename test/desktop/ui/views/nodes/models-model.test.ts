import { expect, it } from 'vitest';
import { fractionOf, installedModels, offeredModels } from '../../../../../desktop/ui/views/nodes/models-model.ts';
import { nodeId, peerOf, RECORDED } from '../../../../support/recorded-answers.ts';

const models = RECORDED['GET /api/v1/models'];
const ps = RECORDED['GET /api/v1/ps'];

it('joins what is installed with what is in memory', () => {
  expect(installedModels(models, ps)).toMatchObject([
    { id: 'HuggingFaceTB/SmolLM2-135M-Instruct', state: 'loaded', residentBytes: 412_000_000, pinned: false },
    { id: 'sentence-transformers/all-MiniLM-L6-v2', state: 'available', residentBytes: undefined },
  ]);
});

it('takes what another node has from its own answer, and believes its runners', () => {
  expect(installedModels(models, { models: [] }, nodeId(1))).toMatchObject([
    { id: 'sentence-transformers/all-MiniLM-L6-v2', state: 'available' },
  ]);
  expect(installedModels(models, undefined, nodeId(1))).toMatchObject([{ state: 'loaded' }]);
});

it('shows what a node offers where it cannot be asked', () => {
  expect(offeredModels(peerOf(0).offers).map(({ state }) => state)).toEqual(['loaded', 'available']);
});

it('knows how far a transfer is once its size is known', () => {
  const transfer = { totalBytes: 200, doneBytes: 50 } as Parameters<typeof fractionOf>[0];
  expect(fractionOf(transfer)).toBe(0.25);
  expect(fractionOf({ ...transfer, totalBytes: 0 })).toBeUndefined();
});
