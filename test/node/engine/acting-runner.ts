// A runner that acts as it is told, without ONNX Runtime: real lifeline and frames, memory and time as a script says. What
// a model does when it is loaded stands in the name of its folder; what a run does, in its input "act". Both are JSON.
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type CallHandler, CallServer, type Registered } from '../../../node/core/calls.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { SocketWriter } from '../../../node/engine/frame-socket.ts';
import { startLifeline } from '../../../node/engine/runner/lifeline.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { type MethodSpec, RUNNER_METHODS } from '../../../protocol/methods.ts';
import { type Act, BATCH_TOKEN, type Loaded, type LoadScript } from './acting-model.ts';

startLifeline();
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const MIB = 2 ** 20;
const held = new Map<string, Buffer[]>();
/** How each model was loaded, and what it is on since. */
const loads = new Map<string, Loaded>();
const take = (mib: number): Buffer => Buffer.alloc(mib * MIB, 1);
const residentBytes = (): bigint => BigInt(process.memoryUsage.rss());
const spin = (ms: number): void => {
  const until = performance.now() + ms;
  while (performance.now() < until);
};
/** In steps, as a runtime reads a graph; what it takes is there at the end. */
const growTo = async (mib: number, ms: number): Promise<Buffer[]> => {
  const pieces: Buffer[] = [];
  for (let step = 0; step < 10; step++) {
    pieces.push(take(Math.ceil(mib / 10)));
    await sleep(ms / 10);
  }
  return pieces;
};

function answering<Request, Item, Response>(
  method: MethodSpec<Request, Item, Response>,
  handler: CallHandler<Request, Item, Response>,
): Registered {
  return { method, handler, admit: () => () => undefined };
}

const methods = [
  answering(
    RUNNER_METHODS.load,
    async ({ folder, model, kvBytesMax, provider: asked, device, threads, spin, spareBytes }, { item }) => {
      const script = JSON.parse(folder.slice(folder.indexOf('{'))) as LoadScript;
      const { takesMib = 0, peakMib = 0, ms = 0, phases = [], dies = false, diesOn, refuses } = script;
      const { spareMib = 0, diesOfSpare = false } = script;
      for (const phase of phases) item({ phase, fraction: 0.5 });
      if (dies || diesOn === asked || (diesOfSpare && spareBytes > 0n)) process.kill(process.pid, 'SIGKILL');
      if (peakMib > 0) await growTo(peakMib, ms);
      if (globalThis.gc !== undefined || peakMib > 0) collectGarbage();
      const own = await growTo(takesMib, ms);
      const peakBytes = residentBytes();
      const spare = spareBytes > 0n && spareMib > 0 ? await growTo(spareMib, ms) : [];
      held.set(model?.digest ?? '', [...own, ...spare]);
      const provider = refuses === asked ? 'cpu' : asked;
      const fallbackReason = provider === asked ? '' : `${asked}: refused`;
      loads.set(model?.digest ?? '', { provider, device, threads, spin, fallbackReason });
      return {
        loadMs: ms,
        verifyMs: 0,
        residentBytes: residentBytes(),
        provider,
        decoder: 'rewritten',
        decoderReason: '',
        kvBytesPerToken: kvBytesMax > 0n ? 64n : 0n,
        fallbackReason,
        spareBytes: BigInt(spare.length > 0 ? spareMib * MIB : 0),
        peakBytes,
      };
    },
  ),
  answering(RUNNER_METHODS.weigh, async ({ folder }) => {
    const { weighsMib = 0, diesWeighing = false } = JSON.parse(folder.slice(folder.indexOf('{'))) as LoadScript;
    if (diesWeighing) process.kill(process.pid, 'SIGKILL');
    return { weightBytes: BigInt(weighsMib * MIB) };
  }),
  answering(RUNNER_METHODS.unload, async ({ model }) => {
    held.delete(model?.digest ?? '');
    collectGarbage();
    return { residentBytes: residentBytes() };
  }),
  answering(RUNNER_METHODS.run, async ({ model, inputs }) => {
    const act = JSON.parse(Buffer.from(inputs[0]?.data ?? []).toString()) as Act;
    const mine = held.get(model.digest);
    if (mine === undefined) throw new WeftError({ code: 'internal', message: 'Not loaded.' });
    const loaded = loads.get(model.digest);
    if (act.diesOn !== undefined && act.diesOn === loaded?.provider) process.kill(process.pid, 'SIGKILL');
    if (act.losesDevice === true && loaded !== undefined) {
      loads.set(model.digest, { ...loaded, provider: 'cpu', fallbackReason: `${loaded.provider}: lost` });
    }
    if (act.growMib !== undefined) mine.push(...(await growTo(act.growMib, act.ms ?? 0)));
    if (act.spinMs !== undefined) spin(act.spinMs);
    if (act.growSpinningMib !== undefined) {
      // The main thread never turns, as if it were inside the runtime.
      for (let taken = 0; taken < act.growSpinningMib; taken += 8) {
        mine.push(take(8));
        spin(4);
      }
    }
    const told = new Uint8Array(Buffer.from(JSON.stringify(loaded)));
    const outputs =
      act.tells === true ? [{ name: 'none', type: 'uint8' as const, dims: [told.length], data: told }] : [];
    return { outputs, node: '', timing: { queueMs: 0, loadMs: 0, computeMs: act.spinMs ?? 1, prefillMs: 0 } };
  }),
  answering(RUNNER_METHODS.generate, async ({ maxNewTokens }, { item, priority }) => {
    // Its tokens tell of which class it was, as it came here.
    const first = priority === 'batch' ? BATCH_TOKEN : 0;
    for (let index = 0; index < maxNewTokens; index++) {
      item({ firstIndex: index, ids: [first + index] });
      await sleep(1);
    }
    const timing = { queueMs: 0, loadMs: 0, computeMs: maxNewTokens, prefillMs: 1 };
    return { finish: 'length' as const, generated: maxNewTokens, node: '', timing };
  }),
  answering(RUNNER_METHODS.stats, async ({ model }) => ({
    provider: loads.get(model?.digest ?? '')?.provider ?? '',
    fallbackReason: loads.get(model?.digest ?? '')?.fallbackReason ?? '',
    sequences: 1,
    waiting: 2,
    kvBytes: 3n,
    prefixBytes: 4n,
    promptTokens: 5n,
    cachedTokens: 6n,
    draftedTokens: 7n,
    acceptedTokens: 8n,
    residentBytes: residentBytes(),
  })),
];

const socket = new Socket({ fd: 3, readable: true, writable: true });
const server = new CallServer(
  {
    writer: new SocketWriter(socket),
    clock: systemClock,
    lookup: (id) => {
      const found = methods.find(({ method }) => method.id === id);
      if (found === undefined) throw new WeftError({ code: 'method_unknown', message: 'Not acted.' });
      return found;
    },
  },
  { caller: 'daemon', acknowledge: false },
);
socket.on('data', (chunk: Uint8Array) => server.push(chunk));
socket.on('end', () => process.exit(0));
socket.on('error', () => process.exit(1));
