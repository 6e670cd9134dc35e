// Constraints in their details: how answers end, what tokens they hold, how their strings are counted, and what becomes of
// a grammar that needs too much memory, or that nobody waits for any more.
import { afterAll, describe, expect, it } from 'vitest';
import { Grammars } from '../../../../node/engine/runner/grammar/grammars.ts';
import type { GrammarSession } from '../../../../node/engine/runner/grammar/session.ts';
import type { Constraint } from '../../../../protocol/infer.ts';
import { idsOf, MODEL, STOP_ID, sampleText, schemaConstraint, textOf, VOCABULARY } from './sampler.ts';

const never = new AbortController().signal;
const SEEDS = Array.from({ length: 12 }, (_, seed) => seed);
const CALL = /<tool_call>\n?(\{.*?\})\n?<\/tool_call>/gs;

const WEATHER = {
  name: 'get_weather',
  schema: JSON.stringify({
    type: 'object',
    properties: { city: { type: 'string', maxLength: 12 }, unit: { enum: ['C', 'F'] } },
    required: ['city'],
  }),
};
/** The same name of an argument, held to something else. */
const NOTE = {
  name: 'note',
  schema: JSON.stringify({
    type: 'object',
    properties: { city: { type: 'string', minLength: 20 } },
    required: ['city'],
  }),
};
const tools = (choice: 'auto' | 'required', parallel: boolean): Constraint => ({
  kind: 'tools',
  tools: [WEATHER, NOTE],
  choice,
  parallel,
});
const open = (grammars: Grammars, constraint: Constraint, stopIds = [STOP_ID]): Promise<GrammarSession> =>
  grammars.open(MODEL, { constraint, stopIds }, never);

/** Ids that may come next. */
async function allowed(session: GrammarSession): Promise<number[]> {
  const logits = new Float32Array(VOCABULARY);
  await session.mask(logits);
  return [...logits.keys()].filter((id) => logits[id] === 0);
}

/** The session, behind this text. */
async function behind(grammars: Grammars, constraint: Constraint, text: string): Promise<GrammarSession> {
  const session = await open(grammars, constraint);
  for (const id of idsOf(text)) session.accept(id);
  return session;
}

/** A pattern with as many states, of which each takes long: the worker is at it for tens of seconds. */
const SLOW = schemaConstraint({ type: 'string', pattern: '^[^,]{1,900}$' });

/** As many states, each with half of the tokens. */
const LARGE = schemaConstraint({ type: 'string', pattern: '^[a-m]{1,900}$' });

describe('what comes out', () => {
  const grammars = new Grammars();
  afterAll(() => grammars.stop());

  it('ends by a stop id when, and only when, nothing may follow', async () => {
    const constraint = schemaConstraint({ const: { a: [1] } });
    expect(await allowed(await behind(grammars, constraint, '{"a": [1]'))).not.toContain(STOP_ID);
    expect(await allowed(await behind(grammars, constraint, '{"a": [1]}'))).toEqual([STOP_ID]);
    // Without a stop id there is no way on.
    const endless = await open(grammars, constraint, []);
    for (const id of idsOf('{"a": [1]}')) endless.accept(id);
    await expect(endless.mask(new Float32Array(VOCABULARY))).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('never holds a special token', async () => {
    const special = [0, 1, 3, 16];
    const text = await allowed(await behind(grammars, tools('auto', true), 'Let me see'));
    expect(text).toContain(STOP_ID);
    for (const id of special) expect(text).not.toContain(id);
    const string = await allowed(await behind(grammars, { kind: 'json_object' }, '{"a": "b'));
    expect(string.length).toBeGreaterThan(40_000);
    for (const id of [...special, STOP_ID]) expect(string).not.toContain(id);
  });

  it('is calls and nothing else where a tool is required', async () => {
    for (const seed of SEEDS) {
      const text = await sampleText(grammars, tools('required', true), { seed });
      expect(text.replaceAll(CALL, '').replaceAll('\n', '')).toBe('');
      const calls = [...text.matchAll(CALL)].map(([, json]) => JSON.parse(json as string) as Record<string, never>);
      expect(calls.length).toBeGreaterThan(0);
      for (const { name, arguments: given } of calls as unknown as { name: string; arguments: { city: string } }[]) {
        const length = Array.from(given.city).length;
        if (name === 'get_weather') expect(length).toBeLessThanOrEqual(12);
        else expect([name, length >= 20]).toEqual(['note', true]);
      }
    }
  });

  it('is one call where only one is wanted', async () => {
    const call = '<tool_call>{"name": "note", "arguments": {"city": "somewhere over the rainbow"}}</tool_call>';
    expect(await allowed(await behind(grammars, tools('required', false), call))).toEqual([STOP_ID]);
    expect(await allowed(await behind(grammars, tools('auto', false), `Wait. ${call}`))).toEqual([STOP_ID]);
    expect((await allowed(await behind(grammars, tools('required', true), call))).length).toBeGreaterThan(1);
    expect((await allowed(await behind(grammars, tools('auto', true), `Wait. ${call}`))).length).toBeGreaterThan(
      40_000,
    );
  });

  it('names tools of which one begins like another', async () => {
    const names = ['get', 'get_time', 'get_weather', 'gät', 'g😀', 'g😁'];
    const similar: Constraint = {
      kind: 'tools',
      tools: names.map((name, index) => ({
        name,
        schema: JSON.stringify({ properties: { a: { const: index } }, required: ['a'] }),
      })),
      choice: 'required',
      parallel: false,
    };
    for (const [index, name] of names.entries()) {
      const call = (value: number): string =>
        `<tool_call>{"name": "${name}", "arguments": {"a": ${value}}}</tool_call>`;
      expect(await allowed(await behind(grammars, similar, call(index)))).toEqual([STOP_ID]);
      await expect(behind(grammars, similar, call(9)).then(allowed)).rejects.toMatchObject({ code: 'bad_request' });
    }
  });

  it('is any text until a call begins', async () => {
    const session = await behind(grammars, tools('auto', true), 'I <b>think</b> <tool_calls are "fine": <tool_call>');
    const next = (await allowed(session)).map((id) => textOf([id]));
    expect(next.length).toBeLessThan(10);
    expect(next.every((text) => '\n{"name"'.includes(text) || text.startsWith('{'))).toBe(true);
    await expect(behind(grammars, tools('auto', true), '<tool_call>{"name": "rm"').then(allowed)).rejects.toMatchObject(
      {
        code: 'bad_request',
      },
    );
  });

  it('counts characters, however they are written', async () => {
    const constraint = schemaConstraint({ type: 'string', minLength: 4, maxLength: 4 });
    for (const text of ['"abcd', '"日本語!', '"\\n\\u00e9\\ud83d\\ude00x', '"é😀\\"\\\\']) {
      expect([text, (await allowed(await behind(grammars, constraint, text))).map((id) => textOf([id]))]).toEqual([
        text,
        ['"'],
      ]);
    }
    const open3 = (await allowed(await behind(grammars, constraint, '"abc'))).map((id) => textOf([id]));
    expect(open3).not.toContain('"');
    expect(open3).toContain('."');
    expect(open3).not.toContain('de');
  });

  it('may be a longer value where another alternative says so', async () => {
    const constraint = schemaConstraint({ anyOf: [{ type: 'string', maxLength: 3 }, { enum: ['automatic', 'Ü'] }] });
    expect((await allowed(await behind(grammars, constraint, '"automati'))).map((id) => textOf([id]))).toEqual(['c']);
    expect((await allowed(await behind(grammars, constraint, '"aut'))).map((id) => textOf([id]))).toContain('"');
    expect((await allowed(await behind(grammars, constraint, '"auto'))).map((id) => textOf([id]))).not.toContain('"');
  });
});

describe('a grammar that is too much', () => {
  /** A generation that goes on while the worker is replaced. */
  async function bystander(grammars: Grammars) {
    const session = await behind(grammars, { kind: 'json_object' }, '{"a": "b');
    const before = await allowed(session);
    return async () => {
      const [quote] = idsOf('"');
      expect(await allowed(session)).toEqual(before);
      session.accept(quote as number);
      expect((await allowed(session)).length).toBeLessThan(100);
    };
  }

  it('is given up when it takes too much memory, and other generations go on', async () => {
    // Enough for the vocabulary and small grammars.
    const grammars = new Grammars({ wasmBytesMax: 24 << 20, compileMsMax: 60_000 });
    const goesOn = await bystander(grammars);
    await expect(open(grammars, LARGE)).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining('too much') as string,
    });
    await goesOn();
    await grammars.stop();
    // It is the bound that refuses it.
    const roomy = new Grammars({ wasmBytesMax: 256 << 20, compileMsMax: 60_000 });
    (await open(roomy, LARGE)).close();
    await roomy.stop();
  });

  it('is dropped when its caller goes', async () => {
    const grammars = new Grammars({ compileMsMax: 1_500 });
    const abort = new AbortController();
    const opening = grammars.open(MODEL, { constraint: SLOW, stopIds: [STOP_ID] }, abort.signal);
    abort.abort(new Error('gone'));
    await expect(opening).rejects.toThrow('gone');
    // Nobody waits for it, but it is in the way of others: they end it.
    expect(await sampleText(grammars, { kind: 'json_object' }, { seed: 1 })).toMatch(/^\{/);
    await grammars.stop();
  });

  it('is refused before the library sees it where it is no schema', async () => {
    const grammars = new Grammars();
    await expect(open(grammars, { kind: 'json_schema', schema: '{' })).rejects.toMatchObject({ code: 'bad_request' });
    await expect(open(grammars, schemaConstraint({ uniqueItems: true }))).rejects.toMatchObject({
      code: 'unsupported',
      facts: { keyword: 'uniqueItems' },
    });
    for (const list of [[], [WEATHER, WEATHER]]) {
      await expect(open(grammars, { ...tools('auto', true), tools: list } as Constraint)).rejects.toMatchObject({
        code: 'bad_request',
        facts: { param: 'tools' },
      });
    }
    await grammars.stop();
  });
});
