import { describe, expect, it } from 'vitest';
import { agentText } from '../../../../../desktop/ui/views/access/agent.ts';
import {
  cameIn,
  confirmWord,
  countdown,
  inviteCommand,
  inviteLink,
} from '../../../../../desktop/ui/views/access/invitation.ts';

const invitation = { ticket: 'weft1abc', expiresAtMs: 0, before: new Set(['a']) };
const member = (node: string, name: string) => ({ node, name, role: 'member' });

describe('an invitation', () => {
  it('is passed on as a command and as a link', () => {
    expect(inviteCommand(invitation)).toBe('weft join weft1abc');
    expect(inviteLink(invitation)).toBe('weft://join/weft1abc');
  });

  it('was used when somebody is a member who was none', () => {
    expect(cameIn(invitation, { members: [member('a', 'first')] })).toEqual([]);
    expect(cameIn(invitation, { members: [member('a', 'first'), member('b', 'second')] })).toMatchObject([
      { name: 'second' },
    ]);
  });

  it('counts down to nothing', () => {
    expect([7 * 86_400_000, 86_399_000, 3_600_000, 61_000, 400, 0, -5].map(countdown)).toEqual([
      '7 d 00:00:00',
      '23:59:59',
      '01:00:00',
      '01:01',
      '00:01',
      '00:00',
      '00:00',
    ]);
  });
});

describe('what is typed to confirm', () => {
  it('is the name, or the end of the id where that can’t be typed or is another’s, too', () => {
    const attic = member('12D3KooWabcdefgh', 'attic');
    expect(confirmWord(attic, [attic])).toBe('attic');
    expect(confirmWord(attic, [attic, member('x', 'attic')])).toBe('abcdefgh');
    const evil = member('12D3KooWabcdefgh', 'at\u{202E}tic');
    expect(confirmWord(evil, [evil])).toBe('abcdefgh');
  });
});

describe('what a browser calls itself', () => {
  it('is told in two words, or as it stands, safely', () => {
    expect(agentText('Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0')).toBe(
      'Firefox on Linux',
    );
    expect(agentText('Mozilla/5.0 (Windows NT 10.0) Chrome/140 Safari/537.36 Edg/140')).toBe('Edge on Windows');
    expect(agentText('curl/8 \u{202E}evil')).toBe('curl/8 �evil');
    expect(agentText('')).toBe('An unknown browser');
  });
});
