// Which process listens on a TCP port: on Linux, for processes of the same user; elsewhere nobody is named.
import { readdir, readFile, readlink } from 'node:fs/promises';
import { systemCode } from './files.ts';
import { FILES_SCANNED_MAX, PROCESSES_SCANNED_MAX } from './limits.ts';

export interface PortHolder {
  readonly pid: number;
  /** Name of its program. */
  readonly command: string;
}

const LISTENING = '0A';

/** The first process found that listens on the port, on whatever address. Best effort: undefined when none is found. */
export async function portHolder(port: number): Promise<PortHolder | undefined> {
  if (process.platform !== 'linux') return undefined;
  const sockets = new Set([
    ...(await listeningSockets('/proc/net/tcp', port)),
    ...(await listeningSockets('/proc/net/tcp6', port)),
  ]);
  if (sockets.size === 0) return undefined;
  const processes = (await attempt(readdir('/proc'))) ?? [];
  for (const pid of processes.filter((name) => /^\d+$/.test(name)).slice(0, PROCESSES_SCANNED_MAX)) {
    const files = (await attempt(readdir(`/proc/${pid}/fd`))) ?? [];
    for (const file of files.slice(0, FILES_SCANNED_MAX)) {
      const target = await attempt(readlink(`/proc/${pid}/fd/${file}`));
      if (target === undefined || !sockets.has(target)) continue;
      const command = (await attempt(readFile(`/proc/${pid}/comm`, 'utf8')))?.trim();
      return { pid: Number(pid), command: command || 'a program' };
    }
  }
  return undefined;
}

/** Links of the sockets that listen on the port, as /proc/PID/fd shows them. */
async function listeningSockets(table: string, port: number): Promise<string[]> {
  const text = (await attempt(readFile(table, 'utf8'))) ?? '';
  const sockets: string[] = [];
  for (const line of text.split('\n').slice(1)) {
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …
    const fields = line.trim().split(/\s+/);
    const localPort = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
    if (localPort === port && fields[3] === LISTENING) sockets.push(`socket:[${fields[9]}]`);
  }
  return sockets;
}

/** Processes end and other users' are closed to us: what can't be read is left out. */
async function attempt<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
