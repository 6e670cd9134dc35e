import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { AddressBook } from '../../../node/app/address-book.ts';
import { joinByTicket } from '../../../node/app/join.ts';
import { openHome } from '../../../node/config/home.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import { loadDeviceKey } from '../../../node/trust/device-key.ts';
import { InvitationBook } from '../../../node/trust/invitations.ts';
import { MemberList } from '../../../node/trust/member-list.ts';

it('does nothing with a ticket of its own mesh, also long after the ticket has expired', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-join-'));
  try {
    await using inviterHome = await openHome({ folder: join(folder, 'inviter') });
    await using home = await openHome({ folder: join(folder, 'here') });
    // The clock at which the ticket was made, two days ago.
    const clock = { ...systemClock, wallNow: () => Date.now() - 48 * 3_600_000 };
    const inviterKey = await loadDeviceKey(inviterHome.store);
    const inviter = await MemberList.open(
      { store: inviterHome.store, clock, log: silentLog },
      { key: inviterKey, name: 'inviter' },
    );
    const invitations = await InvitationBook.open({
      store: inviterHome.store,
      clock,
      members: inviter,
      key: inviterKey,
    });
    const { ticket } = await invitations.create({
      addresses: [`/ip4/127.0.0.1/tcp/9/p2p/${inviterKey.node}`],
      ttlMs: 60_000,
    });
    const key = await loadDeviceKey(home.store);
    await inviter.add(key.node, key.publicKey, 'member', 'here');
    const members = await MemberList.open({ store: home.store, clock, log: silentLog }, { key, name: 'here' });
    const addresses = await AddressBook.open(home.store);
    // A stranger to that mesh hears that the ticket is too old.
    await expect(joinByTicket({ log: silentLog, members, addresses }, { key, ticket })).rejects.toMatchObject({
      code: 'ticket_expired',
    });
    await members.adopt({ rootKey: inviter.rootKey, statements: inviter.statements(), meshName: 'inviter' });
    await joinByTicket({ log: silentLog, members, addresses }, { key, ticket });
    expect(addresses.list()).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
