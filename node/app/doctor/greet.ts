// The first words of a connection, as any stranger may say them: TCP, then libp2p's greeting. Tells a closed port from a
// silent one, and a libp2p node from another program, without a key.
import { createConnection } from 'node:net';
import type { ApiAddress } from '../../config/addresses.ts';
import { systemCode } from '../../config/files.ts';
import { DIAL_MS_MAX } from './limits.ts';

/** How far a stranger gets. */
export type Greeting = 'libp2p' | 'not-libp2p' | 'silent' | 'refused' | 'timeout' | 'unreachable' | 'unknown-name';

/** multistream-select's first line, with its length in front; the other side says the same. */
const HELLO = Buffer.from('\x13/multistream/1.0.0\n', 'latin1');

/** Connects, says hello, and hangs up. @throws the signal's reason when it aborts */
export async function greet(address: ApiAddress, signal: AbortSignal): Promise<Greeting> {
  const { promise, resolve } = Promise.withResolvers<Greeting>();
  const both = AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS_MAX)]);
  const socket = createConnection({ host: address.host, port: address.port, signal: both });
  let connected = false;
  let heard = Buffer.alloc(0);
  socket.once('connect', () => {
    connected = true;
    socket.write(HELLO);
  });
  socket.on('data', (bytes: Buffer) => {
    heard = Buffer.concat([heard, bytes]);
    if (heard.length >= HELLO.length) resolve(heard.subarray(0, HELLO.length).equals(HELLO) ? 'libp2p' : 'not-libp2p');
  });
  socket.once('error', (error) => resolve(greetingOf(systemCode(error), connected)));
  socket.once('close', () => resolve('not-libp2p')); // Settled long ago, unless it hung up on our greeting.
  try {
    const greeting = await promise;
    signal.throwIfAborted();
    return greeting;
  } finally {
    socket.destroy();
  }
}

function greetingOf(code: string | undefined, connected: boolean): Greeting {
  if (connected) return code === 'ABORT_ERR' ? 'silent' : 'not-libp2p';
  if (code === 'ECONNREFUSED' || code === 'ECONNRESET') return 'refused';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'unknown-name';
  if (code === 'ABORT_ERR' || code === 'ETIMEDOUT') return 'timeout';
  return 'unreachable';
}
