import { expect, it } from 'vitest';
import { Model, ModelList } from '../../../protocol/api/openai.ts';
import { CHAT_MODEL, EMBED_MODEL, LISTINGS, OTHER, startGateway } from './support.ts';

it('a model of several forms is listed once, and once for each form under the name that asks for it', async () => {
  const [chat, ...rest] = LISTINGS;
  if (chat === undefined) throw new Error('There are models in these tests.');
  const forms = [
    { form: 'q4', sizeBytes: 1_000, nodes: chat.nodes },
    { form: 'fp16', sizeBytes: 3_000, nodes: [{ node: OTHER, name: 'attic', state: 'disk', self: false }] },
  ];
  const { call } = await startGateway({
    coordinator: { models: () => [{ ...chat, precision: 'q4', forms }, ...rest] },
  });
  const { data } = ModelList.parse(await (await call('/v1/models')).json());
  expect(data.map(({ id }) => id)).toEqual([CHAT_MODEL, `${CHAT_MODEL}:q4`, `${CHAT_MODEL}:fp16`, EMBED_MODEL]);
  for (const name of [`${CHAT_MODEL}:fp16`, 'chat:fp16']) {
    const model = Model.parse(await (await call(`/v1/models/${name}`)).json());
    expect(model).toMatchObject({ id: `${CHAT_MODEL}:fp16`, weft: { size_bytes: 3_000, nodes: [{ state: 'disk' }] } });
  }
  expect((await call(`/v1/models/${CHAT_MODEL}:q8`)).status).toBe(404);
});
