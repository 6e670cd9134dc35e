import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../node/core/log.ts';
import { ADD_STATEMENTS_MAX } from '../../../node/trust/limits.ts';
import { MemberList } from '../../../node/trust/member-list.ts';
import { bringIn, device, HandClock, MemoryStore, openNode } from './fakes.ts';

const names = (list: MemberList): string[] =>
  list
    .members()
    .map(({ name, role }) => `${name} ${role}`)
    .sort();

describe('the first start', () => {
  it('makes a mesh of one with this device as its admin, and the same one ever after', async () => {
    const { list, key, reopen } = await openNode('ada');
    expect(list.members()).toEqual([{ node: key.node, name: 'ada', role: 'admin' }]);
    expect(list.self).toEqual({ node: key.node, name: 'ada', role: 'admin' });
    expect(list.meshId).toMatch(/^[0-9a-f]{64}$/);
    const again = await reopen();
    expect(again.meshId).toBe(list.meshId);
    expect(again.digest()).toEqual(list.digest());
    expect((await openNode('ada')).list.meshId).not.toBe(list.meshId);
  });

  it('that was cut short after the root was written goes on with that root', async () => {
    const { list, store, reopen } = await openNode('ada');
    store.documents.delete('members');
    const again = await reopen();
    expect(again.meshId).toBe(list.meshId);
    expect(again.self.role).toBe('admin');
  });

  it('refuses a damaged list instead of making another mesh', async () => {
    const { store, reopen } = await openNode('ada');
    await store.write('members', new TextEncoder().encode('{"version":1'));
    await expect(reopen()).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

describe('two admins who were apart', () => {
  it('agree when they meet, and the revocation wins', async () => {
    const ada = await openNode('ada');
    const ben = await openNode('ben');
    await bringIn(ada.list, ben, 'admin');
    // Apart: Ben brings Cy and Dan in; Ada revokes Cy, of whom she has never heard from Ben.
    const [cy, dan] = [device('cy'), device('dan')];
    await ben.list.add(cy.node, cy.publicKey, 'member', 'cy');
    await ben.list.add(dan.node, dan.publicKey, 'member', 'dan');
    await ada.list.add(cy.node, cy.publicKey, 'member', 'cy');
    await ada.list.revoke(cy.node, 'lost');
    const [fromAda, fromBen] = [ada.list.statements(), ben.list.statements()];
    expect(await ada.list.merge(fromBen)).toBe(true);
    expect(await ben.list.merge(fromAda)).toBe(true);
    expect(names(ada.list)).toEqual(['ada admin', 'ben admin', 'dan member']);
    expect(ada.list.members()).toEqual(ben.list.members());
    expect(ada.list.digest()).toEqual(ben.list.digest());
    expect(await ada.list.merge(ben.list.statements())).toBe(false);
    // And so after a restart of both.
    expect((await ben.reopen()).members()).toEqual(ada.list.members());
  });
});

describe('changes', () => {
  it('are told to listeners until they unsubscribe, and one that throws holds up nobody', async () => {
    const { list } = await openNode('ada');
    const ben = device('ben');
    let calls = 0;
    list.onChange(() => {
      throw new Error('a defect elsewhere');
    });
    const end = list.onChange(() => {
      calls += 1;
      expect(list.isMember(ben.node)).toBe(true);
    });
    await list.add(ben.node, ben.publicKey, 'member', 'ben');
    expect(calls).toBe(1);
    await list.add(ben.node, ben.publicKey, 'member', 'ben again');
    expect(calls).toBe(1);
    end();
    await list.add(ben.node, ben.publicKey, 'admin', 'ben');
    expect(calls).toBe(1);
    expect(names(list)).toEqual(['ada admin', 'ben admin']);
  });

  it('by a member who is no admin are forbidden', async () => {
    const ada = await openNode('ada');
    const ben = await openNode('ben');
    await bringIn(ada.list, ben);
    const cy = device('cy');
    await expect(ben.list.add(cy.node, cy.publicKey, 'member', 'cy')).rejects.toMatchObject({ code: 'forbidden' });
    await expect(ben.list.revoke(ada.key.node, 'coup')).rejects.toMatchObject({ code: 'forbidden' });
    expect(ben.list.self.role).toBe('member');
  });

  it('need a key and an id that belong together, and a known device to revoke', async () => {
    const { list } = await openNode('ada');
    const [ben, cy] = [device('ben'), device('cy')];
    await expect(list.add(ben.node, cy.publicKey, 'member', 'ben')).rejects.toMatchObject({ code: 'bad_request' });
    await expect(list.revoke(ben.node, 'lost')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('never bring a revoked device back', async () => {
    const { list } = await openNode('ada');
    const ben = device('ben');
    await list.add(ben.node, ben.publicKey, 'member', 'ben');
    await list.revoke(ben.node, 'sold');
    await list.revoke(ben.node, 'sold');
    expect(list.isMember(ben.node)).toBe(false);
    await expect(list.add(ben.node, ben.publicKey, 'admin', 'ben')).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('never revoke the device itself, so that an admin is always left', async () => {
    const ada = await openNode('ada');
    const ben = await openNode('ben');
    await bringIn(ada.list, ben, 'admin');
    for (const { list, key } of [ada, ben]) {
      await expect(list.revoke(key.node, 'done')).rejects.toMatchObject({ code: 'forbidden' });
    }
    expect(names(ada.list)).toEqual(['ada admin', 'ben admin']);
  });

  it('never take the word away that the device itself stands on', async () => {
    const ada = await openNode('ada');
    const ben = await openNode('ben');
    const cy = await openNode('cy');
    await bringIn(ada.list, ben, 'admin');
    await bringIn(ben.list, cy, 'admin');
    await expect(cy.list.revoke(ben.key.node, 'coup')).rejects.toMatchObject({ code: 'forbidden' });
    expect(names(cy.list)).toEqual(['ada admin', 'ben admin', 'cy admin']);
    // Who stands elsewhere may, and then cy, who came by ben's word alone, goes with him.
    await ada.list.merge(ben.list.statements());
    await ada.list.revoke(ben.key.node, 'sold');
    expect(names(ada.list)).toEqual(['ada admin']);
  });

  it('of our own that the disk did not take are not published', async () => {
    const { list, store } = await openNode('ada');
    const ben = device('ben');
    store.failing = true;
    await expect(list.add(ben.node, ben.publicKey, 'member', 'ben')).rejects.toThrow('the disk is full');
    expect(list.isMember(ben.node)).toBe(false);
    store.failing = false;
    await list.add(ben.node, ben.publicKey, 'member', 'ben');
    expect(list.isMember(ben.node)).toBe(true);
  });

  it('that peers bring take effect even when the disk is full', async () => {
    const ada = await openNode('ada');
    const ben = await openNode('ben');
    const cy = device('cy');
    await ada.list.add(cy.node, cy.publicKey, 'member', 'cy');
    await bringIn(ada.list, ben);
    await ada.list.revoke(cy.node, 'stolen');
    ben.store.failing = true;
    expect(await ben.list.merge(ada.list.statements())).toBe(true);
    expect(ben.list.isMember(cy.node)).toBe(false);
  });

  it('end at the bound of the list, which a revocation still passes', async () => {
    // Signatures aside, so that a thousand of them don't take the test's time.
    const { list } = await openNode('ada', { verify: () => true });
    const first = device('device 1');
    for (let count = 1; count < ADD_STATEMENTS_MAX; count++) {
      const { node, publicKey } = device(`device ${count}`);
      await list.add(node, publicKey, 'member', 'one of many');
    }
    const surplus = device('surplus');
    await expect(list.add(surplus.node, surplus.publicKey, 'member', 'x')).rejects.toMatchObject({
      code: 'quota_exceeded',
    });
    await list.revoke(first.node, 'to make a point');
    expect(list.isMember(first.node)).toBe(false);
  });
});

describe('adopting another mesh', () => {
  it('happens in place: the same object, another mesh, and listeners are called', async () => {
    const ada = await openNode('ada');
    const ben = await openNode('ben');
    const before = ben.list.meshId;
    let heard = '';
    ben.list.onChange(() => {
      heard = ben.list.meshId;
    });
    await bringIn(ada.list, ben);
    expect(heard).toBe(ada.list.meshId);
    expect(ben.list.meshId).not.toBe(before);
    expect(ben.list.members()).toEqual(ada.list.members());
    expect(ben.list.meshName).toBe('ada');
    const again = await ben.reopen();
    expect(again.meshId).toBe(ada.list.meshId);
    expect(again.self.role).toBe('member');
    // The old root is gone from the disk.
    expect(ben.store.documents.get('mesh-root')?.byteLength).toBe(0);
  });

  it('is refused to a device whose mesh has other members', async () => {
    const ada = await openNode('ada');
    const ben = await openNode('ben');
    await bringIn(ada.list, ben);
    const cy = await openNode('cy');
    const { node, publicKey } = ben.key;
    await cy.list.add(node, publicKey, 'member', 'ben');
    const adoption = { rootKey: cy.list.rootKey, statements: cy.list.statements(), meshName: 'c' };
    await expect(ben.list.adopt(adoption)).rejects.toMatchObject({ code: 'already_member' });
    // Once it was thrown out, nothing holds it.
    await ada.list.revoke(node, 'moved out');
    await ben.list.merge(ada.list.statements());
    await ben.list.adopt(adoption);
    expect(ben.list.meshId).toBe(cy.list.meshId);
  });

  it('needs statements by the root of the ticket', async () => {
    const ada = await openNode('ada');
    const eve = await openNode('eve');
    const ben = await openNode('ben');
    const { node, publicKey } = ben.key;
    await eve.list.add(node, publicKey, 'member', 'ben');
    const adoption = { rootKey: ada.list.rootKey, statements: eve.list.statements(), meshName: 'trap' };
    const before = ben.list.meshId;
    await expect(ben.list.adopt(adoption)).rejects.toMatchObject({ code: 'join_refused' });
    expect(ben.list.meshId).toBe(before);
  });

  it('of the mesh that it belongs to already only adds what is new', async () => {
    const ada = await openNode('ada');
    const ben = await openNode('ben');
    await bringIn(ada.list, ben);
    await ben.list.adopt({ rootKey: ada.list.rootKey, statements: ada.list.statements(), meshName: 'ada' });
    expect(ben.list.digest()).toEqual(ada.list.digest());
  });

  it('that the disk did not take leaves everything as it was', async () => {
    const ada = await openNode('ada');
    const ben = await openNode('ben');
    const before = ben.list.meshId;
    ben.store.failing = true;
    await expect(bringIn(ada.list, ben)).rejects.toThrow('the disk is full');
    expect(ben.list.meshId).toBe(before);
  });
});

describe('a device with a new key in an old folder', () => {
  it('is signed in again where the root is', async () => {
    const store = new MemoryStore();
    const components = { store, clock: new HandClock(), log: silentLog };
    const before = await MemberList.open(components, { key: device('old'), name: 'ada' });
    const after = await MemberList.open(components, { key: device('new'), name: 'ada' });
    expect(after.meshId).toBe(before.meshId);
    expect(after.self.role).toBe('admin');
    expect(after.members()).toHaveLength(2);
  });
});
