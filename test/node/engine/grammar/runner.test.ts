// SmolLM2 in a real runner, held to schemas and tools.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SupervisedEngine } from '../../../../node/engine/supervised-engine.ts';
import type { Constraint, GenerateResult } from '../../../../protocol/infer.ts';
import { FRANCE, generateRequest, resumedAfter, workOptions } from '../../../compliance/engine-requests.ts';
import { smollm, startEngine } from '../support.ts';
import { STOP_ID, schemaConstraint, textOf } from './sampler.ts';

const PERSON = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 2, maxLength: 24 },
    capital: { type: 'string', pattern: '^[A-Z][a-z]{2,12}$' },
    population: { type: 'integer', minimum: 1_000, maximum: 9_999_999 },
    founded: { type: 'string', format: 'date' },
    tags: { type: 'array', items: { enum: ['old', 'large', 'green'] }, minItems: 1, maxItems: 3 },
  },
  required: ['name', 'capital', 'population', 'founded', 'tags'],
  additionalProperties: false,
};
const CAPITAL: Constraint = {
  kind: 'tools',
  tools: [
    {
      name: 'capital_of',
      schema: JSON.stringify({
        type: 'object',
        properties: { country: { type: 'string', maxLength: 20 } },
        required: ['country'],
      }),
    },
  ],
  choice: 'required',
  parallel: false,
};

describe('a model that is held to a form', () => {
  let started: Awaited<ReturnType<typeof startEngine>>;
  let engine: SupervisedEngine;
  beforeAll(async () => {
    started = await startEngine([await smollm()], { exact: true });
    ({ engine } = started);
  });
  afterAll(() => started[Symbol.asyncDispose]());

  const requestOf = async (constraint: Constraint, overrides: object = {}) =>
    generateRequest((await smollm()).ref, FRANCE, { maxNewTokens: 160, stopIds: [STOP_ID], constraint, ...overrides });
  /** The answer, without its stop id. */
  async function answer(
    request: Awaited<ReturnType<typeof requestOf>>,
  ): Promise<GenerateResult & { readonly ids: number[]; readonly text: string }> {
    const ids: number[] = [];
    const result = await engine.generate(request, workOptions(), (_first, drawn) => ids.push(...drawn));
    return { ...result, ids, text: textOf(ids.filter((id) => id !== STOP_ID)) };
  }

  it.each([0, 1])('gives JSON that validates, at temperature %d', async (temperature) => {
    const sampling = { temperature, topP: 1, topK: 0, seed: 7n };
    const { text, finish } = await answer(await requestOf(schemaConstraint(PERSON), { sampling }));
    expect(finish).toBe('stop');
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(PERSON);
    expect([validate(JSON.parse(text)), validate.errors]).toEqual([true, null]);
  });

  it('calls the tool', async () => {
    const { text, finish } = await answer(await requestOf(CAPITAL));
    expect(finish).toBe('stop');
    const [, json] = /^<tool_call>([\s\S]*)<\/tool_call>$/.exec(text) ?? [];
    expect(JSON.parse(json as string)).toMatchObject({
      name: 'capital_of',
      arguments: { country: expect.any(String) as string },
    });
  });

  it('stops in the middle where its tokens end', async () => {
    const { finish, ids } = await answer(await requestOf(schemaConstraint(PERSON), { maxNewTokens: 10 }));
    expect([finish, ids.length]).toEqual(['length', 10]);
  });

  it('goes on where another node stopped as if it had not', async () => {
    const request = await requestOf(schemaConstraint(PERSON));
    const whole = await answer(request);
    const rest = await answer(resumedAfter(request, whole.ids.slice(0, 20)));
    expect(rest.ids).toEqual(whole.ids.slice(20));
  });

  it('answers others while it refuses what can not be kept to', async () => {
    const free = answer(generateRequest((await smollm()).ref, FRANCE, { maxNewTokens: 20 }));
    await expect(answer(await requestOf(schemaConstraint({ uniqueItems: true })))).rejects.toMatchObject({
      code: 'unsupported',
      facts: { keyword: 'uniqueItems' },
    });
    expect((await free).ids).toHaveLength(20);
  });
});
