// A prep process that was taken over by what it read: does what the "path" of an inspection says, and tells what came of
// it as the reason. In the cage it can do none of it.
import { fork, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import type { PrepReply, PrepRequest } from '../../../node/prep/messages.ts';

const [deed = '', target = ''] = (process.env.WEFT_DEED ?? '').split(' ');
const held: Uint8Array[] = [];

const settled = (start: (done: () => void, failed: (error: unknown) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => start(resolve, reject));

const DEEDS: Readonly<Record<string, (target: string) => unknown>> = {
  write: (path) => writeFileSync(path, 'hostile'),
  makeFolder: (path) => mkdirSync(path),
  remove: (path) => {
    rmSync(path);
    if (existsSync(path)) throw new Error('still there');
  },
  link: (path) => symlinkSync('/etc/passwd', path),
  connect: (port) => settled((done, failed) => connect(Number(port), '127.0.0.1', done).on('error', failed)),
  listen: () =>
    settled((done, failed) => {
      // Node refuses it by throwing out of anybody's reach.
      process.once('uncaughtException', failed);
      createServer().listen(0, '127.0.0.1', done).on('error', failed);
    }),
  datagram: () => settled((done, failed) => createSocket('udp4').on('error', failed).bind(0, '127.0.0.1', done)),
  resolve: () => lookup('localhost'),
  start: () => {
    const { error } = spawnSync(process.execPath, ['--version']);
    if (error !== undefined) throw error;
  },
  fork: () => fork(process.argv[1] ?? '', ['child']).kill(),
  /** Threads are allowed, for the one that keeps watch: they may do no more than the process. */
  thread: (path) =>
    settled((done, failed) => {
      const code = `require('node:fs').writeFileSync(${JSON.stringify(path)}, 'hostile')`;
      const thread = new Worker(code, { eval: true, execArgv: [], env: SHARE_ENV });
      thread.on('error', failed).on('exit', done);
    }),
  exit: () => process.exit(3),
  stand: () => {
    for (;;);
  },
  fillHeap: (mib) => {
    const all: unknown[] = [];
    // Some 128 bytes each.
    for (let left = Number(mib) * 8192; left > 0; left -= 1000) {
      all.push(Array.from({ length: 1000 }, (_, index) => ({ index, at: [index] })));
    }
  },
  fillBuffers: (mib) => {
    for (let left = Number(mib); left > 0; left -= 16) held.push(new Uint8Array(16 << 20).fill(1));
    // The watch looks every 50 ms.
    const end = performance.now() + 500;
    while (performance.now() < end);
  },
  boast: (bytes) => {
    const reply: PrepReply = { id: 0, bytes: Number(bytes) };
    process.send?.(reply);
    return new Promise(() => undefined);
  },
};

/** The same deed without a cage, for the twins: started with the deed in the environment. */
async function doIt(name: string, at: string): Promise<string> {
  try {
    await DEEDS[name]?.(at);
    return 'done';
  } catch (error) {
    return `refused: ${(error as NodeJS.ErrnoException).code}`;
  }
}

if (deed !== '') {
  console.log(await doIt(deed, target));
  process.exit(0);
}

// As the true one does: its watch ends it when it takes too much.
const { keepWatch } = await import('../../../node/prep/watch.ts');
keepWatch(Number(process.argv[2]));
process.on('disconnect', () => process.exit(0));
process.on('message', ({ id, task }: PrepRequest) => {
  if (task.kind !== 'inspect') return;
  const [name = '', at = ''] = task.request.path.split(' ');
  void doIt(name, at).then((reason) => {
    const reply: PrepReply = { id, result: { manifestJson: '', sources: [], reason, warnings: [] } };
    process.send?.(reply);
  });
});
