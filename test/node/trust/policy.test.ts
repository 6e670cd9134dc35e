import { describe, expect, it } from 'vitest';
import { MemberPolicy } from '../../../node/trust/policy.ts';
import { PEER_METHODS } from '../../../protocol/methods.ts';
import { device } from './fakes.ts';

const member = device('ada').node;
const stranger = device('eve').node;
const policy = new MemberPolicy({ membership: { isMember: (node) => node === member } });
const refusal = (caller: string, method: string): string => {
  try {
    policy.authorize(caller, { method });
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'allowed';
};

describe('the members’ policy', () => {
  it('lets members use every method of the table, and strangers only join', () => {
    for (const { name, access } of Object.values(PEER_METHODS)) {
      expect(refusal(member, name)).toBe('allowed');
      expect(refusal(stranger, name)).toBe(access === 'joiner' ? 'allowed' : 'not_a_member');
    }
  });

  it('lets nobody call what the table does not have, a runner’s methods included', () => {
    for (const method of ['load', 'unload', 'constructor', '__proto__', '']) {
      expect(refusal(member, method)).toBe('forbidden');
      expect(refusal(stranger, method)).toBe('not_a_member');
    }
  });
});
