// How many copies an owner wants, as it is written.
import { describe, expect, it } from 'vitest';
import { formatReplicas, parseReplicas, replicaBounds } from '../../../node/config/replicas.ts';
import { SETTINGS } from '../../../node/config/settings-table.ts';

describe('replicas', () => {
  it.each([
    ['smollm2=1..3', { model: 'smollm2', min: 1, max: 3 }],
    ['minilm = 2', { model: 'minilm', min: 2, max: 2 }],
    ['owner/name=1..', { model: 'owner/name', min: 1, max: Number.POSITIVE_INFINITY }],
    ['whisper=..1', { model: 'whisper', min: 0, max: 1 }],
    ['whisper=0..1', { model: 'whisper', min: 0, max: 1 }],
  ])('reads %s, and writes it so that it can be read again', (text, expected) => {
    expect(parseReplicas(text)).toEqual(expected);
    expect(parseReplicas(formatReplicas(expected))).toEqual(expected);
  });

  it.each([
    '',
    'smollm2',
    'smollm2=',
    'smollm2=..',
    'smollm2=3..1',
    'smollm2=0',
    '=1',
    'a=1...2',
    'a=-1',
    'a=1.5',
    'a=9999',
    'a b=1',
  ])('refuses "%s"', (text) => {
    expect(parseReplicas(text)).toBeUndefined();
  });

  it('is a setting: a list, or one text', () => {
    const { schema, show } = SETTINGS.replicas;
    const wanted = schema.parse('smollm2=1..3, minilm=2');
    expect(schema.parse(['smollm2=1..3', 'minilm=2'])).toEqual(wanted);
    expect(show(wanted)).toEqual(['smollm2=1..3', 'minilm=2']);
    expect(schema.safeParse('../x=1').success).toBe(false);
    expect(schema.safeParse('smollm2=1..3,minilm').success).toBe(false);
  });

  it('finds the bounds of a model by any of its names, and has none for others', () => {
    const settings = [{ model: 'SmolLM2', min: 1, max: 3 }];
    expect(replicaBounds(settings, ['owner/other', 'smollm2'])).toMatchObject({ min: 1, max: 3 });
    expect(replicaBounds(settings, ['owner/other'])).toEqual({ min: 0, max: Number.POSITIVE_INFINITY });
  });
});
