import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linuxOnBattery } from '../../../node/app/battery.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-battery-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function supply(name: string, files: Record<string, string>): Promise<void> {
  await mkdir(join(folder, name));
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, name, file), `${text}\n`);
}

const MAINS_OFF = { type: 'Mains', online: '0' };
const DISCHARGING = { type: 'Battery', status: 'Discharging' };

describe('linuxOnBattery', () => {
  it('is undefined without a battery, or without the folder', async () => {
    await supply('AC', MAINS_OFF);
    expect(await linuxOnBattery(folder)).toBeUndefined();
    expect(await linuxOnBattery(join(folder, 'missing'))).toBeUndefined();
  });

  it('is true while a battery discharges and nothing else gives power', async () => {
    await supply('AC', MAINS_OFF);
    await supply('BAT0', { type: 'Battery', status: 'Full' });
    await supply('BAT1', DISCHARGING);
    expect(await linuxOnBattery(folder)).toBe(true);
  });

  it('is false on mains, whatever the battery says', async () => {
    await supply('BAT0', DISCHARGING);
    await supply('USBC', { type: 'USB', online: '1' });
    expect(await linuxOnBattery(folder)).toBe(false);
  });

  it('is false while the battery is charged', async () => {
    await supply('BAT0', { type: 'Battery', status: 'Charging' });
    expect(await linuxOnBattery(folder)).toBe(false);
  });

  it('takes a mouse for no machine', async () => {
    await supply('hid-mouse', { ...DISCHARGING, scope: 'Device' });
    expect(await linuxOnBattery(folder)).toBeUndefined();
  });
});
