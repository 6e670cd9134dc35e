// Puts the mesh of the demonstration together: links, daemons, invitations, until the edge sees everybody.
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InvitationAnswer, PeersAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { assert } from '../../core/assert.ts';
import { delay } from '../../core/clock.ts';
import { EDGE, type Role, WORKERS } from './cast.ts';
import { type DaemonComponents, type DemoDaemon, freePort, startDaemon } from './daemons.ts';
import { FOUND_MS_MAX, POLL_MS } from './limits.ts';
import { ShapedLink } from './link.ts';

/** A machine of the demonstration. */
export interface Machine {
  readonly role: Role;
  readonly daemon: DemoDaemon;
}

/** All of it, until it is disposed of: processes end, links go down, folders are removed. */
export interface DemoMesh extends AsyncDisposable {
  readonly edge: Machine;
  readonly workers: readonly Machine[];
  /** A node as the cast calls it. */
  nameOf(node: string): string;
}

/** Nothing listens there: a node that announces it dials others, and is dialled by nobody. */
const NOWHERE = '/ip4/127.0.0.1/tcp/9';

/**
 * Starts everything.
 * @param say tells the person how far it is
 * @throws WeftError when a daemon doesn't start, or they don't find each other; nothing is left then
 */
export async function startMesh(
  components: DaemonComponents,
  init: { readonly signal: AbortSignal; readonly say: (line: string) => void },
): Promise<DemoMesh> {
  const { signal, say } = init;
  const folder = await mkdtemp(join(tmpdir(), 'weft-demo-'));
  const removeNow = (): void => rmSync(folder, { recursive: true, force: true });
  // Where this process is ended by force, nothing can be awaited any more.
  process.once('exit', removeNow);
  const daemons: DemoDaemon[] = [];
  const links: ShapedLink[] = [];
  const dispose = async (): Promise<void> => {
    await Promise.all(daemons.map((daemon) => daemon[Symbol.asyncDispose]()));
    await Promise.all(links.map((link) => link.stop()));
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    process.off('exit', removeNow);
  };
  const start = async (role: Role, ticket?: string): Promise<Machine> => {
    const port = await freePort();
    let announce = NOWHERE;
    if (role.link !== undefined) {
      const link = await ShapedLink.start(components, { ...role.link, targetPort: port });
      links.push(link);
      announce = `/ip4/127.0.0.1/tcp/${link.port}`;
    }
    const { name, offer } = role;
    const daemon = await startDaemon(
      components,
      { name, offer, home: join(folder, name), port, announce, ticket },
      signal,
    );
    daemons.push(daemon);
    return { role, daemon };
  };
  try {
    const [firstRole, ...otherRoles] = WORKERS;
    const first = await start(firstRole);
    say(`${firstRole.name} has made a mesh, and invites the others`);
    // All are awaited before one failure is thrown: none may start behind the cleaning up.
    const started = await Promise.allSettled(
      [EDGE, ...otherRoles].map(async (role) => start(role, await ticketOf(first.daemon, signal))),
    );
    const [edge, ...others] = started.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
    assert(edge !== undefined, 'the edge has started');
    const workers = [first, ...others];
    await everybodyFound(components, edge.daemon, workers, signal);
    say(`${EDGE.name} sees all of them`);
    const names = new Map(daemons.map(({ node, name }) => [node, name]));
    return { edge, workers, nameOf: (node) => names.get(node) ?? node, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function ticketOf({ client }: DemoDaemon, signal: AbortSignal): Promise<string> {
  const { body } = await client.post<InvitationAnswer>('/api/v1/invitations', {}, { signal });
  return body.ticket;
}

/** Until the edge is connected to everyone, knows what they offer, and has measured the way there. */
async function everybodyFound(
  { clock }: DaemonComponents,
  edge: DemoDaemon,
  workers: readonly Machine[],
  signal: AbortSignal,
): Promise<void> {
  const untilMs = clock.now() + FOUND_MS_MAX;
  for (;;) {
    const { peers } = await edge.client.get<PeersAnswer>('/api/v1/peers', { signal });
    const found = peers.filter(
      ({ state, offers, link }) => state === 'connected' && offers.length > 0 && link?.rttMs !== undefined,
    );
    const missing = workers.filter(({ daemon }) => !found.some(({ node }) => node === daemon.node));
    if (missing.length === 0) return;
    if (clock.now() > untilMs) {
      throw new WeftError({
        code: 'peer_unreachable',
        message: `${edge.name} did not find ${missing.map(({ daemon }) => daemon.name).join(', ')}.`,
        remedy: 'Check that nothing on this machine filters connections over loopback, and try again.',
      });
    }
    await delay(clock, POLL_MS, signal);
  }
}
