// Becoming a member of another mesh by ticket: for `weft join` without a daemon, `weft serve --join`, and a daemon that
// is asked to join while it runs.
import type { Home } from '../config/home.ts';
import type { Settings } from '../config/settings.ts';
import { systemClock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { DeviceKey, Member } from '../core/trust.ts';
import { joinMesh } from '../mesh/join.ts';
import { loadDeviceKey } from '../trust/device-key.ts';
import { createJoinAttempt } from '../trust/join-attempt.ts';
import { MemberList } from '../trust/member-list.ts';
import { parseTicket } from '../trust/tickets.ts';
import { AddressBook } from './address-book.ts';
import { systemRandom } from './random.ts';

/** Dialling every address of a ticket, hello, proof and welcome; each step has a deadline of its own as well. */
const JOIN_MS_MAX = 30_000;

export interface JoinComponents {
  readonly log: Log;
  readonly members: MemberList;
  readonly addresses: AddressBook;
}

/**
 * Proves the ticket to its inviter and takes over that mesh's member list. Nothing is written unless all of it succeeds.
 * A device that belongs to the ticket's mesh already changes nothing, so that a start with `--join` can be repeated.
 * @throws WeftError `ticket_invalid`, `ticket_expired`, `join_refused`, `already_member` or `peer_unreachable`
 */
export async function joinByTicket(
  components: JoinComponents,
  init: { readonly key: DeviceKey; readonly ticket: string; readonly signal?: AbortSignal },
): Promise<void> {
  const { log, members, addresses } = components;
  const { key } = init;
  // Before its expiry is looked at: a service that starts with `--join` starts again long after the ticket's time.
  const { meshId, inviter } = parseTicket(init.ticket);
  if (inviter !== key.node && meshId === members.meshId && members.isMember(key.node)) return;
  const attempt = createJoinAttempt(init.ticket, key, systemRandom, systemClock);
  members.assertMayAdopt(attempt.rootKey);
  const deadline = AbortSignal.timeout(JOIN_MS_MAX);
  const signal = init.signal === undefined ? deadline : AbortSignal.any([init.signal, deadline]);
  const { statements, meshName } = await joinMesh(
    { clock: systemClock, log },
    { key, attempt, name: members.self.name, signal },
  );
  await members.adopt({ rootKey: attempt.rootKey, statements, meshName });
  await addresses.remember(attempt.addresses);
}

/** `weft join` on a folder whose daemon doesn't run. The home must be held by the caller. */
export async function joinOffline(init: {
  readonly home: Home;
  readonly settings: Settings;
  readonly ticket: string;
  readonly log: Log;
  readonly signal?: AbortSignal;
}): Promise<{ readonly mesh: string; readonly members: readonly Member[] }> {
  const { home, settings, log } = init;
  const { store } = home;
  const key = await loadDeviceKey(store, systemRandom);
  const members = await MemberList.open({ store, clock: systemClock, log }, { key, name: settings.name });
  const addresses = await AddressBook.open(store);
  await joinByTicket({ log, members, addresses }, { ...init, key });
  return { mesh: members.meshId, members: members.members() };
}
