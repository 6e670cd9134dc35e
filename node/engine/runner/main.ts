// Entry of a runner process, the only one that loads ONNX Runtime. Started by node/engine/runner-process.ts with frames
// on fd 3 and the lifeline on fd 4. It ends when either of them does.
import { Socket } from 'node:net';
import { systemClock } from '../../core/clock.ts';
import { SocketWriter } from '../frame-socket.ts';
import { startLifeline } from './lifeline.ts';
import { RunnerServer } from './server.ts';

startLifeline();
// A signal for the whole group (Ctrl-C, a service manager) is the daemon's to answer: it ends its runners in order.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    /* the daemon closes the link */
  });
}

const socket = new Socket({ fd: 3, readable: true, writable: true });
const writer = new SocketWriter(socket);
const server = new RunnerServer({ writer, clock: systemClock });
socket.on('data', (chunk: Uint8Array) => server.push(chunk));
socket.on('end', () => process.exit(0));
socket.on('error', () => process.exit(1));
socket.on('close', () => process.exit(0));
