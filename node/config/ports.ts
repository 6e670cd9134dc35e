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
  /** Lets go of it, to be listened on at once. Until then no other process gets it, another node that starts now included. */
  release(): Promise<void>;
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
 * A port that is free, held until it is released.
 * @throws WeftError `port_in_use`, or `config_invalid` when this machine can't listen at the address at all
 */
export async function choosePort(init: PortInit): Promise<ChosenPort> {
  const { address, port, asked, spokenFor = [] } = init;
  if (port === 0) return { port, moved: false, release: async () => undefined };
  const release = spokenFor.includes(port) ? undefined : await holdSoon(address, port);
  if (release !== undefined) return { port, moved: false, release };
  if (!asked) {
    for (let next = port + 1; next <= Math.min(port + PORTS_TRIED, 65_535); next++) {
      const releaseNext = spokenFor.includes(next) ? undefined : await hold(address, next);
      if (releaseNext !== undefined) return { port: next, moved: true, release: releaseNext };
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
async function holdSoon(address: string, port: number): Promise<Release | undefined> {
  const until = performance.now() + PORT_WAIT_MS;
  for (;;) {
    const release = await hold(address, port);
    if (release !== undefined || performance.now() >= until) return release;
    await delay(PORT_RETRY_MS);
  }
}

type Release = ChosenPort['release'];

/**
 * Listens, and answers nobody. Undefined where another one listens already.
 * @throws WeftError `config_invalid` for an address or port at which this process may not listen
 */
function hold(address: string, port: number): Promise<Release | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Release | undefined>();
  const server = createServer((socket) => socket.destroy());
  server.once('error', (error) => {
    const code = systemCode(error);
    if (code === 'EADDRINUSE') return resolve(undefined);
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
  const release = (): Promise<void> => new Promise((released) => server.close(() => released()));
  server.listen({ host: address, port, exclusive: true }, () => resolve(release));
  return promise;
}
