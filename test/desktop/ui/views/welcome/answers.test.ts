import { describe, expect, it } from 'vitest';
import { type Answers, questions, settingsOf } from '../../../../../desktop/ui/views/welcome/answers.ts';

const ANSWERS: Answers = { name: ' attic ', mesh: 'join', ticket: 't', sharing: 'use' };

describe('the first run', () => {
  it('asks three things at most, and whether to share only where there is somebody to share with', () => {
    expect(questions({ mesh: 'join' })).toEqual(['name', 'mesh', 'sharing']);
    expect(questions({ mesh: 'begin' })).toEqual(['name', 'mesh']);
  });

  it('writes whether to share in any case: that is what says that the node has been set up', () => {
    expect(settingsOf(ANSWERS, true)).toEqual({ name: 'attic', lend: false });
    expect(settingsOf({ ...ANSWERS, sharing: 'share' }, true)).toEqual({ name: 'attic', lend: true });
    expect(settingsOf({ ...ANSWERS, mesh: 'begin' }, true)).toEqual({ name: 'attic', lend: true });
    expect(settingsOf({ ...ANSWERS, mesh: 'begin' }, false)).toEqual({ lend: true });
  });
});
