// Layer `membership`: this device is a member of its mesh, nobody has revoked it, and there is somebody who can invite.
import type { Membership } from '../../core/trust.ts';
import { type Check, type Finding, failed, ok, warning } from './check.ts';
import { QUICK_MS_MAX } from './limits.ts';

export type MembershipFacts = Pick<Membership, 'meshId' | 'self' | 'members' | 'isMember'>;

export function membershipChecks(membership: () => MembershipFacts): readonly Check[] {
  return [
    {
      layer: 'membership',
      name: 'this device',
      deadlineMs: QUICK_MS_MAX,
      overdueRemedy: 'Try again.',
      run: async () => judgeMembership(membership()),
    },
  ];
}

/** What the member list says of this device. */
export function judgeMembership({ meshId, self, members, isMember }: MembershipFacts): readonly Finding[] {
  const all = members();
  const name = 'this device';
  const mesh = `mesh ${meshId.slice(0, 16)}…`;
  if (!isMember(self.node)) {
    const remedy = 'Ask an admin for a ticket (`weft invite`), and join with it in a new data folder (WEFT_HOME).';
    return [failed(name, `${self.name} was revoked: it is no member of ${mesh} any more.`, remedy)];
  }
  const admins = all.filter(({ role }) => role === 'admin');
  const finding = ok(name, `${self.name} is ${self.role} of ${mesh}, one of ${all.length}`);
  if (admins.length > 0) return [finding];
  return [
    finding,
    warning('admins', 'Nobody of this mesh can invite or revoke.', 'Make a new mesh, and join the devices to it.'),
  ];
}
