// What a person sees first: `npm start`, Ctrl-C, and the commands.
import { describe, expect, it } from 'vitest';
import { daemonsOfTest } from '../support/daemons-of-test.ts';
import { isAlive, until } from '../support/wait.ts';

const start = daemonsOfTest();

describe('weft serve --self-check', () => {
  it('answers an embedding and a chat, names the node, and says what to type next', async () => {
    const daemon = await start({ args: ['--self-check'] });
    await until('the self-check to be printed', () => daemon.output().includes('weft run smollm2'));
    const output = daemon.output();
    expect(output).toContain(daemon.url);
    expect(output).toContain('api-key');
    expect(output).toMatch(/Paris|capital/i);
    expect(output).toMatch(/\d+ ms/);
    expect((await fetch(`${daemon.url}/readyz`)).status).toBe(200);
  });

  it('stops on Ctrl-C without leaving a process', async () => {
    const daemon = await start({ args: ['--self-check'] });
    await until('the self-check to be printed', () => daemon.output().includes('weft run smollm2'));
    const children = await daemon.children();
    expect(children.length).toBeGreaterThan(0);
    daemon.kill('SIGINT');
    await until('the daemon to end', () => daemon.child.exitCode !== null);
    expect(daemon.child.exitCode).toBe(0);
    for (const pid of children) await until(`child ${pid} to be gone`, async () => !(await isAlive(pid)));
  });
});

describe('nodes that are started at once', () => {
  it('have ports of their own where nobody asked for others', async () => {
    const env = { WEFT_HOST: undefined, WEFT_LISTEN: undefined };
    const daemons = await Promise.all([1, 2, 3, 4].map(() => start({ env })));
    expect(new Set(daemons.map(({ url }) => url)).size).toBe(daemons.length);
    for (const { url } of daemons) expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });
});

describe('the commands', () => {
  it('answer a prompt given as argument and from a pipe, and name the node', async () => {
    const daemon = await start();
    const asked = await daemon.weft(
      'run',
      'smollm2',
      '--temperature',
      '0',
      '--max-tokens',
      '16',
      'Name the capital of France.',
    );
    expect(asked.code).toBe(0);
    expect(asked.stdout).toContain('Paris');
    expect(asked.stderr).toMatch(/tokens\/s|tok\/s/);
    const json = await daemon.weft(
      'run',
      'smollm2',
      '--json',
      '--temperature',
      '0',
      '--max-tokens',
      '16',
      'Name the capital of France.',
    );
    expect(JSON.stringify(JSON.parse(json.stdout))).toContain(daemon.node);
  });

  it('embed, list, ps, peers, status: each reads as JSON', async () => {
    const daemon = await start();
    const embedded = await daemon.weft('embed', 'minilm', '--json', 'Hello world!');
    expect(embedded.code).toBe(0);
    for (const command of ['list', 'ps', 'peers', 'status']) {
      const { code, stdout } = await daemon.weft(command, '--json');
      expect(code, command).toBe(0);
      expect(() => JSON.parse(stdout), command).not.toThrow();
    }
    const help = await daemon.weft('--help');
    expect(help.stdout.split('\n').length).toBeLessThan(40);
  });
});
