// members and revoke, on the program's own command line, against a fake daemon.
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { TICKET_SECONDS_MAX } from '../../../node/cli/limits.ts';
import { INVITATION_SECONDS } from '../../../protocol/api/control/members.ts';
import { GONE, MEMBERS, PEER, runCommand as run } from './command-support.ts';
import { recordedContext, sendJson } from './fake-daemon.ts';

describe('weft members', () => {
  const members = [...MEMBERS.members, { node: 'n3', name: 'old', role: 'member' }];
  const routes = { 'GET /api/v1/members': { members }, 'GET /api/v1/peers': { peers: [PEER, GONE] } };

  it('shows who belongs to the mesh, and who is reached', async () => {
    const { context } = await run(['members'], routes);
    expect(context.out()).toBe(
      'NAME    ROLE    STATE      NODE\n' +
        'laptop  admin   here       n1\n' +
        'server  member  connected  n2\n' +
        'old     member  gone       n3\n',
    );
  });

  it("prints the control API's answer with --json, and plain names with --names", async () => {
    expect(JSON.parse((await run(['members', '--json'], routes)).context.out())).toEqual({ members });
    expect((await run(['members', '--names'], routes)).context.out()).toBe('laptop\nserver\nold\n');
  });
});

describe('weft revoke', () => {
  const revoked = { node: '12D3KooWGRUzCgSbGdLeYxPm3cT8CMzFnUeRvbL7WJRXq9MNKRDh', name: 'old', role: 'member' };

  it('takes a member out, with the reason', async () => {
    let asked: unknown;
    const { context } = await run(['revoke', 'old', '--reason', 'sold'], {
      'POST /api/v1/members/revoke': (body: unknown, response: ServerResponse) => {
        asked = body;
        sendJson(response, { revoked });
      },
    });
    expect(asked).toEqual({ member: 'old', reason: 'sold' });
    expect(context.out()).toBe('Revoked old (…q9MNKRDh).\n');
  });

  it('prints who is out with --json', async () => {
    const { context } = await run(['revoke', 'old', '--json'], { 'POST /api/v1/members/revoke': { revoked } });
    expect(JSON.parse(context.out())).toEqual({ revoked });
  });

  it.each([
    ['y\n', true],
    ['n\n', false],
  ])('asks at a terminal (%j)', async (answer, revokes) => {
    const context = recordedContext({ tty: true });
    const done = run(['revoke', 'old'], { 'POST /api/v1/members/revoke': { revoked } }, context);
    context.stdin.write(answer);
    const { requests } = await done;
    expect(context.err()).toContain('Take old out of the mesh, for good? [y/N]');
    expect(requests.includes('POST /api/v1/members/revoke')).toBe(revokes);
  });
});

describe('weft invite', () => {
  it('refuses a ticket that lasts longer than the API lets it, in the units that were typed', async () => {
    expect(TICKET_SECONDS_MAX).toBe(INVITATION_SECONDS.max);
    let asked: unknown;
    const routes = {
      'POST /api/v1/invitations': (body: unknown, response: ServerResponse) => {
        asked = body;
        sendJson(response, { ticket: 'weft1x', expiresAtMs: Date.now() + 60_000 });
      },
    };
    await run(['invite', '--ttl', '7d'], routes);
    expect(asked).toEqual({ ttl_seconds: TICKET_SECONDS_MAX });
    const context = recordedContext();
    const failed = run(['invite', '--ttl', '8d'], routes, context);
    await expect(failed).rejects.toMatchObject({ code: 'commander.invalidArgument' });
    expect(context.err()).toContain('A ticket lasts 7d at most.');
  });
});
