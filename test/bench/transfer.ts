// 256 MiB from disk to disk: Weft against a plain libp2p stream and against Helia's bitswap on loopback; from three thin
// peers; over a long fat link; and beside a chat on the receiving node.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonicalJson, MANIFEST_FILE, parseManifest } from '../../models/manifest.ts';
import { clientOf, LONG_ANSWER } from '../support/chat.ts';
import { type Daemon, startDaemon, ticketOf } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { type Benchmark, interleave, median } from './harness.ts';
import { quantile } from './streams.ts';
import { type BenchFile, writeBenchFile } from './transfer-file.ts';
import { linkRateShare, linkRoundTripMs } from './transfer-link-check.ts';
import { type Opened, TransferProcess } from './transfer-process.ts';

const MIB = 2 ** 20;
const MB = 1e6;

/** WEFT_BENCH_MIB makes the file smaller, to see that everything runs; figures are of the whole. */
const FILE_BYTES = Number(process.env.WEFT_BENCH_MIB ?? 256) * MIB;

/** 100 Mbit/s each. */
const THIN = { count: 3, bytesPerSecond: 12.5 * MB, delayMs: 2 } as const;
/** 1 Gbit/s at a round trip of 80 ms. */
const LONG_FAT = { bytesPerSecond: 125 * MB, delayMs: 40 } as const;

const CHAT_TOKENS = 128;
/** Chats of a round with and without a transfer beside them. */
const CHATS = 2;

/** What the benchmark has started, to be stopped at its end. */
class Stage {
  readonly folder: string;
  readonly #processes: TransferProcess[] = [];
  readonly #daemons: Daemon[] = [];
  #folders = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  newFolder(): string {
    return join(this.folder, String(++this.#folders));
  }

  process(): TransferProcess {
    const process = new TransferProcess();
    this.#processes.push(process);
    return process;
  }

  async daemon(...args: Parameters<typeof startDaemon>): Promise<Daemon> {
    const daemon = await startDaemon(...args);
    this.#daemons.push(daemon);
    return daemon;
  }

  async clear(): Promise<void> {
    for (const process of this.#processes) process.stop();
    for (const daemon of this.#daemons) await daemon.stop();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Two ends of one contender on loopback. */
async function pairOf(
  stage: Stage,
  role: 'weft' | 'stream' | 'bitswap',
  file: BenchFile,
): Promise<{ readonly from: TransferProcess; readonly to: TransferProcess; fetch(): Promise<number> }> {
  const [from, to] = [stage.process(), stage.process()];
  const { address, cid } = await from.open(role, { folder: stage.newFolder(), file });
  await to.open(role, { folder: stage.newFolder() });
  return {
    from,
    to,
    fetch: async () => (await to.fetch({ from: [address], file, ...(cid !== undefined && { cid }) })).ms,
  };
}

/** Weft from so many senders, each behind a link of its own. */
async function behindLinks(
  stage: Stage,
  file: BenchFile,
  shape: { readonly count: number; readonly bytesPerSecond: number; readonly delayMs: number },
): Promise<{ readonly to: TransferProcess; fetch(): Promise<number> }> {
  const links: { port: number; targetPort: number; bytesPerSecond: number; delayMs: number }[] = [];
  const senders: Opened[] = [];
  for (let index = 0; index < shape.count; index++) {
    const [listen, announce] = [await freePort(), await freePort()];
    const init = { folder: stage.newFolder(), file, ports: { listen, announce } };
    senders.push(await stage.process().open('weft', init));
    const { bytesPerSecond, delayMs } = shape;
    links.push({ port: announce, targetPort: listen, bytesPerSecond, delayMs });
  }
  await stage.process().open('links', { links });
  const to = stage.process();
  await to.open('weft', { folder: stage.newFolder() });
  return { to, fetch: async () => (await to.fetch({ from: senders.map(({ address }) => address), file })).ms };
}

/** A folder of models in which the file is one: the sender's daemon gives out what a manifest lists. */
async function modelFolder(folder: string, file: BenchFile): Promise<void> {
  const model = join(folder, 'bench', 'bytes');
  await mkdir(model, { recursive: true });
  const { sha256, sizeBytes, chunks } = await writeBenchFile(join(model, 'model.onnx'), file.sizeBytes);
  const port = { name: 'x', type: 'float32', dims: [1] };
  const manifest = {
    schema: 1,
    id: 'bench/bytes',
    task: 'tensor',
    precision: 'fp32',
    graph: 'model.onnx',
    files: [{ path: 'model.onnx', sizeBytes, sha256, kind: 'large', chunks }],
    inputs: [port],
    outputs: [port],
    contextLength: 0,
    licence: { spdx: 'LicenseRef-unknown' },
  };
  await writeFile(join(model, MANIFEST_FILE), canonicalJson(parseManifest(JSON.stringify(manifest))));
  Object.assign(file, { sha256, chunks });
}

interface ChatPair {
  readonly sender: Daemon;
  readonly to: TransferProcess;
  readonly api: { readonly url: string; readonly key: string };
  readonly file: BenchFile;
}

async function chatPair(stage: Stage, threads: number): Promise<ChatPair> {
  const models = stage.newFolder();
  const file: BenchFile = { path: '', sha256: '', sizeBytes: FILE_BYTES, chunks: { sizeBytes: 0, sha256: [] } };
  await modelFolder(models, file);
  const sender = await stage.daemon({ env: { WEFT_MODELS: models, WEFT_OFFER: 'none' } });
  const to = stage.process();
  const env = { WEFT_THREADS: String(threads), WEFT_KEEP_ALIVE: '-1' };
  const { address, key = '' } = await to.open('node', {
    ticket: await ticketOf(sender),
    env,
    folder: stage.newFolder(),
  });
  return { sender, to, api: { url: address, key }, file };
}

/** Milliseconds before each token of an answer, that of the first one included. */
async function tokenGaps({ api }: ChatPair, seed: number): Promise<number[]> {
  const gaps: number[] = [];
  let lastMs = performance.now();
  const stream = await clientOf(api).chat.completions.create({
    model: 'smollm2',
    messages: [{ role: 'user', content: `${LONG_ANSWER[0]?.content} Its name is R${seed}.` }],
    max_tokens: CHAT_TOKENS,
    temperature: 1,
    seed,
    stream: true,
  });
  for await (const chunk of stream) {
    if (!chunk.choices[0]?.delta.content) continue;
    const nowMs = performance.now();
    gaps.push(nowMs - lastMs);
    lastMs = nowMs;
  }
  return gaps;
}

async function chats(pair: ChatPair, seed: number): Promise<number[]> {
  const gaps: number[] = [];
  for (let index = 0; index < CHATS; index++) gaps.push(...(await tokenGaps(pair, seed * CHATS + index)));
  return gaps;
}

export const transfer: Benchmark = {
  name: 'transfer',
  summary: '256 MiB disk to disk: a plain libp2p stream, bitswap, thin peers, a long fat link, beside a chat',
  async run({ rounds, threads, say }) {
    const stage = new Stage(await mkdtemp(join(tmpdir(), 'weft-bench-transfer-')));
    try {
      const file = await writeBenchFile(join(stage.folder, 'file'), FILE_BYTES);
      const weft = await pairOf(stage, 'weft', file);
      const stream = await pairOf(stage, 'stream', file);
      const bitswap = await pairOf(stage, 'bitswap', file);
      const thin = await behindLinks(stage, file, THIN);
      const longFat = await behindLinks(stage, file, { ...LONG_FAT, count: 1 });
      const chat = await chatPair(stage, threads);

      const rateOf = (ms: number): number => FILE_BYTES / MB / (ms / 1_000);
      const memory = { to: [] as number[], from: [] as number[], thin: [] as number[], longFat: [] as number[] };
      const otherMemory = { stream: [] as number[], bitswap: [] as number[] };
      const governed: number[] = [];
      let seed = 0;
      const contenders: Record<string, () => Promise<readonly number[]>> = {
        weft_mb_per_s: async () => {
          const rate = rateOf(await weft.fetch());
          memory.to.push((await weft.to.memory()).heapExternalMb);
          memory.from.push((await weft.from.memory()).heapExternalMb);
          return [rate];
        },
        stream_mb_per_s: async () => {
          const rate = rateOf(await stream.fetch());
          for (const end of [stream.to, stream.from]) otherMemory.stream.push((await end.memory()).heapExternalMb);
          return [rate];
        },
        bitswap_mb_per_s: async () => {
          const rate = rateOf(await bitswap.fetch());
          for (const end of [bitswap.to, bitswap.from]) otherMemory.bitswap.push((await end.memory()).heapExternalMb);
          return [rate];
        },
        thin_mb_per_s: async () => {
          const rate = rateOf(await thin.fetch());
          memory.thin.push((await thin.to.memory()).heapExternalMb);
          return [rate];
        },
        long_fat_mb_per_s: async () => {
          const rate = rateOf(await longFat.fetch());
          memory.longFat.push((await longFat.to.memory()).heapExternalMb);
          return [rate];
        },
        chat_alone_gap_ms: () => chats(chat, seed++),
        chat_beside_gap_ms: async () => {
          await chat.to.begin({ from: [chat.sender.node], file: chat.file });
          const [begunMs, before] = [performance.now(), await chat.to.moved()];
          const gaps = await chats(chat, seed++);
          governed.push(((await chat.to.moved()) - before) / MB / ((performance.now() - begunMs) / 1_000));
          await chat.to.end();
          return gaps;
        },
        link_rate_share: async () => [await linkRateShare(LONG_FAT)],
        link_round_trip_ms: async () => [await linkRoundTripMs(LONG_FAT)],
      };
      say('  warming up');
      for (const [name, warm] of Object.entries(contenders)) say(`    ${name} ${median(await warm()).toFixed(1)}`);
      for (const list of [...Object.values(memory), ...Object.values(otherMemory), governed]) list.length = 0;
      say(`  ${rounds} rounds`);
      const series = await interleave(rounds, contenders);
      const typical = (name: string): number => median((series[name] ?? []).map(median));
      const ratio = (name: string, other: string): number =>
        median((series[name] ?? []).map((round, index) => median(round) / median(series[other]?.[index] ?? [])));
      const p95Ratio = median(
        (series.chat_beside_gap_ms ?? []).map(
          (round, index) => quantile(round, 0.95) / quantile(series.chat_alone_gap_ms?.[index] ?? [], 0.95),
        ),
      );
      return {
        figures: {
          weft_mb_per_s: typical('weft_mb_per_s'),
          ratio_vs_libp2p_stream: ratio('weft_mb_per_s', 'stream_mb_per_s'),
          ratio_vs_bitswap: ratio('weft_mb_per_s', 'bitswap_mb_per_s'),
          sum_share: (typical('thin_mb_per_s') * MB) / (THIN.count * THIN.bytesPerSecond),
          long_fat_share: (typical('long_fat_mb_per_s') * MB) / LONG_FAT.bytesPerSecond,
          heap_external_mb_max: Math.max(...Object.values(memory).flat()),
          stream_heap_external_mb_max: Math.max(...otherMemory.stream),
          bitswap_heap_external_mb_max: Math.max(...otherMemory.bitswap),
          chat_p95_ratio: p95Ratio,
          governed_mb_per_s: median(governed),
          link_rate_share: typical('link_rate_share'),
          link_round_trip_ms: typical('link_round_trip_ms'),
        },
        samples: {
          ...Object.fromEntries(Object.entries(series).map(([name, list]) => [name, list.flat()])),
          receiver_heap_external_mb: memory.to,
          sender_heap_external_mb: memory.from,
          thin_heap_external_mb: memory.thin,
          long_fat_heap_external_mb: memory.longFat,
          stream_heap_external_mb: otherMemory.stream,
          bitswap_heap_external_mb: otherMemory.bitswap,
          governed_mb_per_s: governed,
        },
      };
    } finally {
      await stage.clear();
    }
  },
};
