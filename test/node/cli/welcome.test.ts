// What `weft serve` prints: the sign-in link goes to a terminal, never into a log.
import { describe, expect, it } from 'vitest';
import type { RunningNode } from '../../../node/app/node.ts';
import { welcome } from '../../../node/cli/welcome.ts';
import type { Home } from '../../../node/config/home.ts';
import { fakeControl, fakeCoordinator } from '../gateway/support.ts';
import { recordedContext } from './fake-daemon.ts';

const URL = 'http://127.0.0.1:9338';

async function printed(tty: boolean): Promise<{ readonly text: string; readonly links: number }> {
  let links = 0;
  const node = {
    url: URL,
    apiKeyFile: '/data/api-key',
    node: 'n1',
    name: 'desk',
    notices: [],
    control: fakeControl(),
    coordinator: fakeCoordinator(),
    signInLink: () => {
      links += 1;
      return { url: `${URL}/#/sign-in/TOKEN`, expiresAtMs: 0 };
    },
  } as unknown as RunningNode;
  const context = recordedContext({ tty });
  await welcome({ node, home: { folder: '/data' } as Home, context }, { selfCheck: false });
  return { text: context.out(), links };
}

describe('the first lines of weft serve', () => {
  it('have a link that signs in, at a terminal', async () => {
    const { text, links } = await printed(true);
    expect(text).toContain(`  Pages    ${URL}/#/sign-in/TOKEN\n`);
    expect(links).toBe(1);
  });

  it('have the address alone where they end up in a log, and no link is made', async () => {
    const { text, links } = await printed(false);
    expect(text).not.toContain('sign-in');
    expect(text).toContain('weft dashboard');
    expect(links).toBe(0);
  });
});
