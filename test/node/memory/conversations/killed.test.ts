// A process that is killed while it writes conversations, at random moments: what it acknowledged is there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { seededRandom } from '../../../support/seeded.ts';
import { newFolder, openConversations } from './support.ts';

const WRITER = fileURLToPath(new URL('./writer.ts', import.meta.url));

interface Acknowledged {
  readonly id: string;
  readonly content?: string;
  /** It will be. */
  readonly deleted?: true;
}

/** Lets a writer go until it has acknowledged so much, and kills it. */
async function write(folder: string, lines: number): Promise<readonly Acknowledged[]> {
  const child = spawn(process.execPath, [WRITER, join(folder, 'conversations.sqlite')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: Acknowledged[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    // What is in the pipe was acknowledged before the kill.
    said.push(JSON.parse(line) as Acknowledged);
    if (said.length === lines) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  expect(child.signalCode).toBe('SIGKILL');
  return said;
}

it('loses nothing that was acknowledged, in 6 kills at random moments', async () => {
  const random = seededRandom('conversations killed');
  const folder = newFolder();
  const kept = new Map<string, string>();
  for (let kill = 0; kill < 6; kill += 1) {
    for (const { id, content, deleted } of await write(folder, 1 + Math.floor(random.next() * 28))) {
      if (deleted === true) kept.delete(id);
      else if (content !== undefined) kept.set(id, content);
    }
  }
  const { conversations } = openConversations({ folder });
  for (const [id, content] of kept) {
    expect(conversations.get(id).messages).toMatchObject([
      { role: 'user', content, state: 'done' },
      { role: 'assistant', state: 'stopped' },
    ]);
  }
  const { conversations: listed } = conversations.list({ limit: 1_000 });
  // A kill may come between what was done and its word, or before what was only said.
  const spoken = listed.filter(({ messages }) => messages > 0);
  expect(spoken.length - kept.size).toBeLessThanOrEqual(6);
  expect(conversations.list({ search: 'message', limit: 1_000 }).conversations).toHaveLength(spoken.length);
  expect(readdirSync(folder).join()).not.toContain('damaged');
});
