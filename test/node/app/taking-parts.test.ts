import { describe, expect, it } from 'vitest';
import { mayTakePart, partsTaken } from '../../../node/app/taking-parts.ts';
import { offer, SMOL } from '../scheduler/builders.ts';

describe('parts of models for others', () => {
  it('are run of what the setting offers, and of what is offered', () => {
    expect(mayTakePart(SMOL, 'all', [])).toBe(true);
    expect(mayTakePart(SMOL, 'none', [])).toBe(false);
    expect(mayTakePart(SMOL, ['other/model'], [])).toBe(false);
    expect(mayTakePart(SMOL, [SMOL.id.toUpperCase()], [])).toBe(true);
    // Offered by its short name, which only those know who have it.
    expect(mayTakePart(SMOL, ['smollm2'], [offer()])).toBe(true);
  });

  it('are told of to peers', () => {
    expect(partsTaken('all', 'auto')).toEqual({});
    expect(partsTaken(['a/b'], 'never')).toEqual({ parts: 'held' });
    expect(partsTaken('none', 'auto')).toEqual({ parts: 'none' });
  });
});
