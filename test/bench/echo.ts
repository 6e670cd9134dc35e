// The least that a second process can cost: bytes over a loopback TCP connection and back, with nothing around them. Each
// is sent after a pause as long as a small model computes, because processes that slept answer later than busy ones.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

const SELF = fileURLToPath(import.meta.url);

/** A child process that sends everything back. */
export class EchoProcess {
  readonly #child: ChildProcess;
  readonly #socket: Socket;

  private constructor(child: ChildProcess, socket: Socket) {
    this.#child = child;
    this.#socket = socket;
  }

  static async start(): Promise<EchoProcess> {
    const child = spawn(process.execPath, [SELF, 'serve'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer];
    const socket = connect({ host: '127.0.0.1', port: Number(line), noDelay: true });
    await once(socket, 'connect');
    return new EchoProcess(child, socket);
  }

  /** Sends these bytes and waits until as many have come back. */
  roundTrip(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      let left = bytes.byteLength;
      const onData = (chunk: Buffer): void => {
        left -= chunk.byteLength;
        if (left > 0) return;
        this.#socket.off('data', onData);
        resolve();
      };
      this.#socket.on('data', onData);
      this.#socket.write(bytes);
    });
  }

  stop(): void {
    this.#socket.destroy();
    this.#child.kill();
  }
}

if (process.argv[1] === SELF && process.argv[2] === 'serve') {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', (chunk) => socket.write(chunk)).on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (address !== null && typeof address === 'object') process.stdout.write(String(address.port));
  });
}
