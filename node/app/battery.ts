// Whether this machine runs on its battery. Linux says so in a few small files; elsewhere the library asks the system's own
// tools, and is loaded only there.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Linux' power supplies: Documentation/ABI/testing/sysfs-class-power. */
const SUPPLIES = '/sys/class/power_supply';

/** Supplies that are looked at: a laptop has three. */
const SUPPLIES_MAX = 32;

/** @returns undefined where there is no battery, or nobody says */
export async function onBattery(): Promise<boolean | undefined> {
  if (process.platform === 'linux') return linuxOnBattery(SUPPLIES);
  const { battery } = await import('systeminformation');
  const { hasBattery, acConnected } = await battery();
  return hasBattery ? !acConnected : undefined;
}

/** @param folder as {@link SUPPLIES} */
export async function linuxOnBattery(folder: string): Promise<boolean | undefined> {
  const names = await readdir(folder).catch(() => []);
  let discharges: boolean | undefined;
  for (const name of names.slice(0, SUPPLIES_MAX)) {
    const read = async (file: string): Promise<string> =>
      (await readFile(join(folder, name, file), 'utf8').catch(() => '')).trim();
    const type = await read('type');
    // Power that comes in ends the question, whatever a battery says of itself.
    if (type !== 'Battery') {
      if ((await read('online')) === '1') return false;
      continue;
    }
    // A mouse's battery says nothing of the machine.
    if ((await read('scope')) === 'Device') continue;
    discharges = discharges === true || (await read('status')) === 'Discharging';
  }
  return discharges;
}
