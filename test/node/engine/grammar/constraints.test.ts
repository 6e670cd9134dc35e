// The constraints of a runner: tools, objects, resumption, several at a time, and grammars that are too much.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseTokenizerJson } from '../../../../models/tasks/tokenizer-json.ts';
import { Grammars } from '../../../../node/engine/runner/grammar/grammars.ts';
import { tokenBytes } from '../../../../node/engine/runner/grammar/token-bytes.ts';
import { grammarVocabulary } from '../../../../node/engine/runner/grammar/vocabulary.ts';
import type { Constraint } from '../../../../protocol/infer.ts';
import { failure } from '../../../compliance/engine.ts';
import { idsOf, MODEL, STOP_ID, sampleIds, sampleText, schemaConstraint, VOCABULARY } from './sampler.ts';

const WEATHER = {
  name: 'weather',
  schema: JSON.stringify({
    type: 'object',
    properties: { city: { enum: ['Paris', 'Rome'] } },
    required: ['city'],
    additionalProperties: false,
  }),
};
const CLOCK = {
  name: 'clock',
  schema: JSON.stringify({ type: 'object', properties: {}, additionalProperties: false }),
};
const tools = (choice: 'auto' | 'required', parallel: boolean): Constraint => ({
  kind: 'tools',
  tools: [WEATHER, CLOCK],
  choice,
  parallel,
});
const POINT = schemaConstraint({
  type: 'object',
  properties: { x: { type: 'integer' }, y: { type: 'number' }, label: { type: 'string', maxLength: 8 } },
  required: ['x', 'y', 'label'],
  additionalProperties: false,
});

/** Seconds of work for the library, though the schema is short. */
const SLOW = schemaConstraint({ type: 'string', pattern: '^[a-z]{1,1000}$' });

const BYTES = tokenBytes(
  grammarVocabulary(parseTokenizerJson(readFileSync(join(MODEL.folder, 'tokenizer.json'))), VOCABULARY),
);

describe('constraints', () => {
  const grammars = new Grammars();
  afterAll(() => grammars.stop());
  const open = (constraint: Constraint) =>
    grammars.open(MODEL, { constraint, stopIds: [STOP_ID] }, new AbortController().signal);

  it('allow several calls where they may be parallel', async () => {
    const session = await open(tools('required', true));
    const call = '<tool_call>{"name": "clock", "arguments": {}}</tool_call>';
    const logits = new Float32Array(VOCABULARY);
    for (const id of idsOf(call + call)) {
      await session.ready();
      session.accept(id);
    }
    await session.mask(logits);
    expect(logits[STOP_ID]).toBe(0);
    session.close();
  });

  it('write no bytes that are no character', async () => {
    const session = await open(schemaConstraint({ type: 'string' }));
    const logits = new Float32Array(VOCABULARY);
    session.accept(idsOf('"')[0] as number);
    await session.mask(logits);
    const allowed = BYTES.filter((_, id) => logits[id] === 0);
    expect(allowed.length).toBeGreaterThan(10_000);
    // Alone, a byte that begins no character is shown as U+FFFD: 0xc0, 0xc1 and 0xf5 to 0xff are never there.
    expect(allowed.filter((bytes) => bytes.some((byte) => byte === 0xc0 || byte === 0xc1 || byte >= 0xf5))).toEqual([]);
    session.close();
    for (let seed = 0; seed < 4; seed++) {
      const bounded = schemaConstraint({ type: 'string', minLength: 60, maxLength: 80 });
      expect(await sampleText(grammars, bounded, { seed, closeAfter: 80 })).not.toContain('\ufffd');
    }
  });

  it('make an object of an answer that only has to be one', async () => {
    for (let seed = 0; seed < 4; seed++) {
      const value: unknown = JSON.parse(await sampleText(grammars, { kind: 'json_object' }, { seed }));
      expect(Object.prototype.toString.call(value)).toBe('[object Object]');
    }
  });

  it('go on where an answer was cut as if it had not been', async () => {
    const whole = await sampleIds(grammars, POINT, { seed: 5 });
    for (const cut of [1, whole.length >> 1, whole.length - 1]) {
      expect(await sampleIds(grammars, POINT, { seed: 5, resume: whole.slice(0, cut) })).toEqual(whole);
    }
  });

  it('do not mix what several answers at a time are held to', async () => {
    const constraints = [POINT, tools('required', false), { kind: 'json_object' } as const];
    const alone: number[][] = [];
    for (const [seed, constraint] of constraints.entries()) alone.push(await sampleIds(grammars, constraint, { seed }));
    const together = await Promise.all(
      constraints.map((constraint, seed) => sampleIds(grammars, constraint, { seed })),
    );
    expect(together).toEqual(alone);
  });

  it('refuse a token that does not fit, such as one that another node says it drew', async () => {
    const session = await open(POINT);
    session.accept(idsOf('{"')[0] as number);
    await session.ready();
    expect(() => session.accept(idsOf('Hello')[0] as number)).toThrow(expect.objectContaining({ code: 'bad_request' }));
    session.close();
    // Unseen by the worker yet: found out at the next mask.
    const late = await open(POINT);
    const wrong = async (): Promise<void> => {
      late.accept(idsOf('{"')[0] as number);
      late.accept(idsOf('Hello')[0] as number);
      await late.mask(new Float32Array(VOCABULARY));
    };
    expect((await failure(wrong())).code).toBe('bad_request');
    late.close();
  });
});

describe('a grammar that is too much', () => {
  it('costs its own answer, and the others go on in a new worker', async () => {
    const grammars = new Grammars({ compileMsMax: 2_000 });
    try {
      const going = await grammars.open(MODEL, { constraint: POINT, stopIds: [STOP_ID] }, new AbortController().signal);
      const [first, ...rest] = idsOf('{"x": 1, "y": 2.5, "label": "a"}');
      going.accept(first as number);
      const error = await failure(sampleText(grammars, SLOW, { seed: 1 }));
      expect(error).toMatchObject({ code: 'bad_request', facts: { param: 'response_format' } });
      for (const id of rest) {
        await going.ready();
        going.accept(id);
      }
      const logits = new Float32Array(VOCABULARY);
      await going.mask(logits);
      expect(logits[STOP_ID]).toBe(0);
      going.close();
      // And the next answer is served as ever.
      expect(JSON.parse(await sampleText(grammars, POINT, { seed: 2 }))).toMatchObject({ x: expect.any(Number) });
    } finally {
      await grammars.stop();
    }
  });

  it('is only given up because it takes too long: with more time it would hold the worker up for everybody', async () => {
    const grammars = new Grammars({ compileMsMax: 600_000 });
    try {
      const abort = new AbortController();
      const slow = grammars.open(MODEL, { constraint: SLOW, stopIds: [STOP_ID] }, abort.signal);
      const behind = grammars.open(MODEL, { constraint: POINT, stopIds: [STOP_ID] }, new AbortController().signal);
      const first = await Promise.race([slow.then(() => 'slow'), behind.then(() => 'behind')]);
      expect(first).toBe('slow');
      for (const session of await Promise.all([slow, behind])) session.close();
    } finally {
      await grammars.stop();
    }
  });
});
