// Which port to listen on. A default port that is taken moves to the next free one, and the caller says so; one that was
// asked for and is taken is an error that names the holder where it can be found out.
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { WeftError } from '../../protocol/errors.ts';
import { systemCode } from './files.ts';
import { PORT_RETRY_MS, PORT_WAIT_MS, PORTS_TRIED } from './limits.ts';
import { portHolder } from './port-holder.ts';

export interface ChosenPort {
  /** 0 when 0 was wanted: the operating system chooses at listening. */
  readonly port: number;
  /** True when the default one was taken: tell the user. */
  readonly moved: boolean;
}

export interface PortInit {
  /** IP address or host name to listen on. */
  readonly address: string;
  readonly port: number;
  /** True when a person asked for just this port. */
  readonly asked: boolean;
  /** Ports that this process is about to listen on elsewhere: free still, but spoken for. */
  readonly spokenFor?: readonly number[];
}

/**
 * A port that was free a moment ago. Listening can still fail: {@link portInUse} makes the same error then.
 * @throws WeftError `port_in_use`, or `config_invalid` when this machine can't listen at the address at all
 */
export async function choosePort(init: PortInit): Promise<ChosenPort> {
  const { address, port, asked, spokenFor = [] } = init;
  if (port === 0) return { port, moved: false };
  if (!spokenFor.includes(port) && (await comesFree(address, port))) return { port, moved: false };
  if (!asked) {
    for (let next = port + 1; next <= Math.min(port + PORTS_TRIED, 65_535); next++) {
      if (!spokenFor.includes(next) && (await isFree(address, next))) return { port: next, moved: true };
    }
  }
  throw await portInUse(address, port);
}

/** The error for a port that is taken, with its holder where that can be found out. */
export async function portInUse(address: string, port: number): Promise<WeftError> {
  const holder = await portHolder(port);
  const by = holder === undefined ? '' : ` by ${holder.command} (process ${holder.pid})`;
  return new WeftError({
    code: 'port_in_use',
    message: `Port ${port} on ${address} is taken${by}.`,
    facts: { port: String(port), ...(holder === undefined ? {} : { pid: String(holder.pid) }) },
  });
}

/** A daemon that was killed a moment ago may still be letting go of it. */
async function comesFree(address: string, port: number): Promise<boolean> {
  const until = performance.now() + PORT_WAIT_MS;
  for (;;) {
    if (await isFree(address, port)) return true;
    if (performance.now() >= until) return false;
    await delay(PORT_RETRY_MS);
  }
}

/** @throws WeftError `config_invalid` for an address or port at which this process may not listen */
function isFree(address: string, port: number): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', (error) => {
    const code = systemCode(error);
    if (code === 'EADDRINUSE') return resolve(false);
    reject(
      new WeftError(
        {
          code: 'config_invalid',
          message: `This process can't listen at ${address}, port ${port} (${code ?? 'error'}).`,
        },
        { cause: error },
      ),
    );
  });
  server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(true)));
  return promise;
}
