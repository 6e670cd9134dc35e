// Whether this machine's network is paid by the byte. Linux (NetworkManager) and Windows know; macOS tells nobody. What
// can't be known counts as not paid.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { NETWORK_ANSWER_BYTES_MAX, NETWORK_ASK_MS_MAX } from './limits.ts';

/** Runs a program of the system. @throws Error when it fails, or isn't there */
export type RunProgram = (file: string, args: readonly string[]) => Promise<string>;

const SERVICE = 'org.freedesktop.NetworkManager';
const NETWORK_MANAGER = ['--system', 'get-property', SERVICE, '/org/freedesktop/NetworkManager', SERVICE, 'Metered'];

const POWERSHELL: readonly string[] = [
  '-NoProfile',
  '-NonInteractive',
  '-Command',
  '[void][Windows.Networking.Connectivity.NetworkInformation,Windows,ContentType=WindowsRuntime];' +
    '[Windows.Networking.Connectivity.NetworkInformation]::GetInternetConnectionProfile().GetConnectionCost().NetworkCostType',
];

/** @returns undefined where nobody can say: it need not be asked again */
export async function isMetered(platform: NodeJS.Platform, run: RunProgram = runProgram): Promise<boolean | undefined> {
  try {
    if (platform === 'linux') return fromNetworkManager(await run('busctl', NETWORK_MANAGER));
    if (platform === 'win32') return fromWindows(await run('powershell.exe', POWERSHELL));
    return undefined;
  } catch {
    return undefined; // No such program, or no such network service.
  }
}

/** `u N`, an NMMetered: 1 yes, 2 no, 3 and 4 the same as a guess, 0 unknown. */
export function fromNetworkManager(answer: string): boolean | undefined {
  const metered = /^u ([1-4])\s*$/.exec(answer)?.[1];
  return metered === undefined ? undefined : metered === '1' || metered === '3';
}

/** Windows.Networking.Connectivity.NetworkCostType. */
export function fromWindows(answer: string): boolean | undefined {
  const type = answer.trim();
  if (type === 'Fixed' || type === 'Variable') return true;
  return type === 'Unrestricted' ? false : undefined;
}

async function runProgram(file: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(file, [...args], {
    timeout: NETWORK_ASK_MS_MAX,
    maxBuffer: NETWORK_ANSWER_BYTES_MAX,
    windowsHide: true,
    env: { ...process.env, LC_ALL: 'C' },
  });
  return stdout;
}
