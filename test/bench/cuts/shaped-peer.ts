// The peer of shaped.ts, in a process of its own: takes what crosses, runs its part or waits as long as it would take, answers.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { cutCases } from './cases.ts';
import { openRange, type Ready } from './measure.ts';
import { type PeerAnswer, type PeerJob, type PeerQuestion, waitUntil } from './shaped.ts';

let job: PeerJob | undefined;
let part: Ready | undefined;

const server = createServer({ noDelay: true }, (socket) => {
  let received = 0;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    received += chunk.byteLength;
    if (job === undefined || received < job.upBytes) return;
    received -= job.upBytes;
    void answer(socket, job);
  });
});

async function answer(socket: Socket, { waitMs = 0, downBytes }: PeerJob): Promise<void> {
  const begunMs = performance.now();
  if (part === undefined) await waitUntil(begunMs + waitMs);
  else await part.session.run(part.inputs);
  socket.write(Buffer.alloc(downBytes));
}

async function prepare(next: PeerJob): Promise<void> {
  await part?.session.close();
  part = undefined;
  const { name, table, range, threads, waitMs } = next;
  const cutCase = cutCases().find((one) => one.name === name);
  if (cutCase === undefined) throw new Error(`There is no ${name}.`);
  if (waitMs === undefined) part = await openRange(cutCase, table, range, threads);
  job = next;
}

async function listen(): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

process.on('message', async (message) => {
  const question = message as PeerQuestion;
  let answered: PeerAnswer;
  try {
    answered = { result: question.kind === 'listen' ? await listen() : await prepare(question.job) };
  } catch (error) {
    answered = { error: String(error) };
  }
  process.send?.(answered);
});
process.once('disconnect', () => process.exit());
