// `weft service` as it is typed.
import { Command, CommanderError } from 'commander';
import { expect, it } from 'vitest';
import { define } from '../../../../node/cli/commands/service.ts';
import { contextOf } from './context.ts';
import { parsePlist, parseUnit } from './parsers.ts';

async function weft(...args: readonly string[]): Promise<string> {
  const { context, stdout } = contextOf();
  const program = new Command('weft').exitOverride().configureOutput({ writeErr: () => undefined });
  define(program.command('service'), context);
  await program.parseAsync(['service', ...args], { from: 'user' });
  return stdout();
}

it('prints the file of the system that is named, and nothing else', async () => {
  expect([...parseUnit(await weft('print', '--system', 'systemd')).keys()]).toEqual(['Unit', 'Service', 'Install']);
  expect(parsePlist(await weft('print', '--system', 'launchd', '--run-as', 'ada'))).toMatchObject({ UserName: 'ada' });
  expect(await weft('print', '--system', 'windows')).toMatch(/^<\?xml /);
});

it('takes a limit of memory as a size or a share', async () => {
  expect(await weft('print', '--system', 'systemd', '--memory-max', '8GiB')).toContain('\nMemoryMax=8589934592\n');
  expect(await weft('print', '--system', 'systemd', '--memory-max', '50%')).toContain('\nMemoryMax=50%\n');
  for (const wrong of ['0%', '101%', 'much']) {
    await expect(weft('print', '--system', 'systemd', '--memory-max', wrong)).rejects.toThrow(CommanderError);
  }
});

it('keeps the data of a service of the machine where systemd makes its folder', async () => {
  await expect(weft('print', '--system', 'systemd', '--home', '/srv/weft')).rejects.toMatchObject({
    code: 'config_invalid',
  });
  expect(await weft('print', '--system', 'systemd', '--user', '--home', '/srv/weft')).toContain(
    '"WEFT_HOME=/srv/weft"',
  );
});

it('says what pruning would free, and leaves it', async () => {
  const first = JSON.parse(await weft('prune', '--dry-run', '--json')) as { platforms: string[]; freedBytes: number };
  expect(JSON.parse(await weft('prune', '--dry-run', '--json'))).toEqual(first);
  expect(first.platforms).not.toContain(`${process.platform}/${process.arch}`);
});
