// Lists of the chat view: conversations by day, models to choose from, and the reasons of a choice.
import { expect, test } from 'vitest';
import { byDay } from '../../../../../desktop/ui/views/chat/list-groups.ts';
import { chatModels, isModel } from '../../../../../desktop/ui/views/chat/models.ts';
import { reasonsOf } from '../../../../../desktop/ui/views/chat/why.ts';
import type { ModelsAnswer, RequestAnswer } from '../../../../../protocol/api/control.ts';

test('conversations stand under the day on which something was last said', () => {
  const now = new Date(2026, 10, 22, 9).getTime();
  const at = (id: string, ...moment: [number, number, number, number]) => ({
    id,
    title: id,
    model: null,
    createdAtMs: 0,
    updatedAtMs: new Date(...moment).getTime(),
    messages: 2,
  });
  const groups = byDay(
    [
      at('old', 2026, 9, 1, 8),
      at('midnight', 2026, 10, 22, 0),
      at('late', 2026, 10, 21, 23),
      at('week', 2026, 10, 16, 1),
    ],
    now,
  );
  expect(groups.map(({ title, conversations }) => [title, conversations.map(({ id }) => id)])).toEqual([
    ['Today', ['midnight']],
    ['Yesterday', ['late']],
    ['Last seven days', ['week']],
    ['Earlier', ['old']],
  ]);
});

const node = (state: string) => [{ node: 'n', name: 'attic', state, self: false }];

test('models that write text, each form apart', () => {
  const base = { aliases: ['m'], contextLength: 0, dimensions: 0, sizeBytes: 5 };
  const models: ModelsAnswer = {
    models: [
      { ...base, id: 'a/embedder', task: 'feature-extraction', nodes: node('loaded') },
      { ...base, id: 'a/one', task: 'text-generation', nodes: node('disk'), precision: 'q4' },
      {
        ...base,
        id: 'a/two',
        task: 'text-generation',
        nodes: node('loaded'),
        forms: [
          { form: 'q4', sizeBytes: 1, nodes: node('loaded') },
          { form: 'fp16', sizeBytes: 2, nodes: node('disk') },
        ],
      },
    ],
  };
  const entries = chatModels(models);
  expect(entries.map(({ value, form, loaded }) => [value, form, loaded])).toEqual([
    ['a/one', 'q4', false],
    ['a/two', 'q4', true],
    ['a/two:fp16', 'fp16', false],
  ]);
  expect(entries.map((entry) => isModel(entry, 'a/two:q4'))).toEqual([false, true, false]);
  expect(chatModels(undefined)).toEqual([]);
});

test('the reasons of a choice: what it was to take, what lost, what was out, what failed', () => {
  const price = (totalMs: number) => ({ queueMs: 0, loadMs: 0, upMs: 0, computeMs: totalMs, downMs: 0, totalMs });
  const request: RequestAnswer = {
    requestId: 'req_1',
    traceId: 'f'.repeat(32),
    name: 'chat',
    startedAtMs: 0,
    durationMs: 900,
    status: 'ok',
    spans: [],
    plans: [
      {
        kind: 'remote',
        node: 'attic',
        price: price(850),
        samples: 12,
        others: [{ node: 'laptop', price: price(2_400), samples: 3 }],
        rejected: [{ node: 'pi', reason: 'it has too little memory\u202E' }],
      },
    ],
    failures: [{ node: 'studio', code: 'peer_lost', atMs: 10 }],
  };
  const reasons = reasonsOf(request, (id) => id.toUpperCase());
  expect(reasons).toEqual([
    'ATTIC was to be the soonest: 850 ms predicted for the whole answer.',
    'The prediction stands on 12 measured requests.',
    'LAPTOP would have taken 2.4 s.',
    'PI was out: it has too little memory\uFFFD',
    'STUDIO failed (peer_lost), and it was taken up elsewhere.',
  ]);
  expect(reasonsOf({ ...request, plans: [] }, (id) => id)).toHaveLength(1);
});
