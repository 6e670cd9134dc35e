import { describe, expect, it } from 'vitest';
import { type Answers, questions, settingsOf } from '../../../../../desktop/ui/views/welcome/answers.ts';

const ANSWERS: Answers = { name: ' attic ', mesh: 'join', ticket: 't', sharing: 'use' };

describe('the first run', () => {
  it('asks three things at most, and whether to share only where there is somebody to share with', () => {
    expect(questions({ mesh: 'join' })).toEqual(['name', 'mesh', 'sharing']);
    expect(questions({ mesh: 'begin' })).toEqual(['name', 'mesh']);
  });

  it('writes the name in any case, and the sharing where it was asked for', () => {
    expect(settingsOf(ANSWERS, true)).toEqual({ name: 'attic', offer: 'none' });
    expect(settingsOf({ ...ANSWERS, sharing: 'share' }, true)).toEqual({ name: 'attic', offer: 'all' });
    expect(settingsOf({ ...ANSWERS, mesh: 'begin' }, true)).toEqual({ name: 'attic' });
    expect(settingsOf({ ...ANSWERS, mesh: 'begin' }, false)).toEqual({});
  });
});
