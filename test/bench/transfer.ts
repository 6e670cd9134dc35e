// 256 MiB from disk to disk: Weft against a plain libp2p stream, one that verifies what it writes, and Helia's bitswap on
// loopback; from three thin peers; over a long fat link; and beside a chat on the receiving node. Plain streams do the last
// two as well: they show what libp2p and the machine leave of each aim.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonicalJson, MANIFEST_FILE, parseManifest } from '../../models/manifest.ts';
import { MESH_LIMITS } from '../../node/mesh/limits.ts';
import { clientOf, LONG_ANSWER } from '../support/chat.ts';
import { type Daemon, startDaemon, ticketOf } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { type Benchmark, interleave, median } from './harness.ts';
import { quantile } from './streams.ts';
import { type BenchFile, writeBenchFile } from './transfer-file.ts';
import { linkRateShare, linkRoundTripMs } from './transfer-link-check.ts';
import { type LinkInit, type Opened, type PlainInit, type Taken, TransferProcess } from './transfer-process.ts';

const MIB = 2 ** 20;
const MB = 1e6;

/** WEFT_BENCH_MIB makes the file smaller, to see that everything runs; figures are of the whole. */
const FILE_BYTES = Number(process.env.WEFT_BENCH_MIB ?? 256) * MIB;

/** 100 Mbit/s each. */
const THIN = { count: 3, bytesPerSecond: 12.5 * MB, delayMs: 2 } as const;
/** 1 Gbit/s at a round trip of 80 ms. */
const LONG_FAT = { bytesPerSecond: 125 * MB, delayMs: 40 } as const;

/** Plain streams side by side: as many as Weft has chunks under way from one peer. */
const LANES = MESH_LIMITS.transfer.lanesPerPeerMax;

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

/** What an end of a transfer took, round by round. */
class Ledger {
  readonly #end: TransferProcess;
  readonly #idleMb: number;
  readonly heapExternalMb: number[] = [];

  private constructor(end: TransferProcess, idleMb: number) {
    this.#end = end;
    this.#idleMb = idleMb;
  }

  /** @param end open, and at rest */
  static async of(end: TransferProcess): Promise<Ledger> {
    const ledger = new Ledger(end, await end.idleMb());
    await end.taken();
    return ledger;
  }

  async note(): Promise<Taken> {
    const taken = await this.#end.taken();
    this.heapExternalMb.push(taken.heapExternalMb);
    return taken;
  }

  clear(): void {
    this.heapExternalMb.length = 0;
  }

  get mostMb(): number {
    return Math.max(...this.heapExternalMb);
  }

  /** Beyond what it has at rest. */
  get addedMb(): number {
    return this.mostMb - this.#idleMb;
  }
}

interface Pair {
  readonly from: Ledger;
  readonly to: Ledger;
  /** @returns milliseconds that it took, and the processor's time at both ends together */
  fetch(plain?: PlainInit): Promise<{ readonly ms: number; readonly cpuMs: number }>;
}

/** Two ends of one contender on loopback. */
async function pairOf(stage: Stage, role: 'weft' | 'stream' | 'bitswap', file: BenchFile): Promise<Pair> {
  const [sender, receiver] = [stage.process(), stage.process()];
  const { address, cid } = await sender.open(role, { folder: stage.newFolder(), file });
  await receiver.open(role, { folder: stage.newFolder() });
  const [from, to] = [await Ledger.of(sender), await Ledger.of(receiver)];
  return {
    from,
    to,
    fetch: async (plain = {}) => {
      await Promise.all([sender.taken(), receiver.taken()]);
      const { ms } = await receiver.fetch({ from: [address], file, plain, ...(cid !== undefined && { cid }) });
      const cpuMs = (await from.note()).cpuMs + (await to.note()).cpuMs;
      return { ms, cpuMs };
    },
  };
}

/** One receiver of so many senders, each behind a link of its own. */
async function behindLinks(
  stage: Stage,
  role: 'weft' | 'stream',
  file: BenchFile,
  shape: { readonly count: number; readonly bytesPerSecond: number; readonly delayMs: number },
): Promise<{ readonly to: Ledger; fetch(plain?: PlainInit): Promise<number> }> {
  const links: LinkInit[] = [];
  const senders: Opened[] = [];
  for (let index = 0; index < shape.count; index++) {
    const [listen, announce] = [await freePort(), await freePort()];
    const init = { folder: stage.newFolder(), file, ports: { listen, announce } };
    senders.push(await stage.process().open(role, init));
    const { bytesPerSecond, delayMs } = shape;
    links.push({ port: announce, targetPort: listen, bytesPerSecond, delayMs });
  }
  await stage.process().open('links', { links });
  const receiver = stage.process();
  await receiver.open(role, { folder: stage.newFolder() });
  const to = await Ledger.of(receiver);
  const from = senders.map(({ address }) => address);
  return {
    to,
    fetch: async (plain = {}) => {
      const { ms } = await receiver.fetch({ from, file, plain });
      await to.note();
      return ms;
    },
  };
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
      const verified = await pairOf(stage, 'stream', file);
      const bitswap = await pairOf(stage, 'bitswap', file);
      const thin = await behindLinks(stage, 'weft', file, THIN);
      const longFat = await behindLinks(stage, 'weft', file, { ...LONG_FAT, count: 1 });
      const longFatStream = await behindLinks(stage, 'stream', file, { ...LONG_FAT, count: 1 });
      const chat = await chatPair(stage, threads);
      const chatStream = await stage.process().open('stream', { folder: stage.newFolder(), file });

      const rateOf = (ms: number): number => FILE_BYTES / MB / (ms / 1_000);
      const cpu: Record<'weft' | 'stream' | 'verified', number[]> = { weft: [], stream: [], verified: [] };
      const fetchedBy = async (pair: Pair, times: number[], plain?: PlainInit): Promise<readonly number[]> => {
        const { ms, cpuMs } = await pair.fetch(plain);
        times.push(cpuMs / 1_000 / (FILE_BYTES / 1e9));
        return [rateOf(ms)];
      };
      const governed: number[] = [];
      const held: number[] = [];
      /** Chats beside a fetch, and what it fetched meanwhile in MB/s. */
      const beside = async (
        rates: number[],
        request: Parameters<TransferProcess['begin']>[0],
      ): Promise<readonly number[]> => {
        await chat.to.begin(request);
        const [begunMs, before] = [performance.now(), await chat.to.moved()];
        const gaps = await chats(chat, seed++);
        rates.push(((await chat.to.moved()) - before) / MB / ((performance.now() - begunMs) / 1_000));
        await chat.to.end();
        return gaps;
      };
      let seed = 0;
      let governedMb = 0;
      const contenders: Record<string, () => Promise<readonly number[]>> = {
        weft_mb_per_s: () => fetchedBy(weft, cpu.weft),
        stream_mb_per_s: () => fetchedBy(stream, cpu.stream),
        verified_stream_mb_per_s: () => fetchedBy(verified, cpu.verified, { isVerified: true }),
        bitswap_mb_per_s: async () => [rateOf((await bitswap.fetch()).ms)],
        thin_mb_per_s: async () => [rateOf(await thin.fetch())],
        long_fat_mb_per_s: async () => [rateOf(await longFat.fetch())],
        long_fat_stream_mb_per_s: async () => [rateOf(await longFatStream.fetch())],
        long_fat_streams_mb_per_s: async () => [rateOf(await longFatStream.fetch({ streams: LANES }))],
        chat_alone_gap_ms: () => chats(chat, seed++),
        chat_beside_gap_ms: async () => {
          const gaps = await beside(governed, { from: [chat.sender.node], file: chat.file });
          governedMb = governed.at(-1) ?? 0;
          return gaps;
        },
        // As many bytes a second as Weft's last one.
        chat_stream_gap_ms: () =>
          beside(held, { from: [chatStream.address], file, plain: { bytesPerSecond: governedMb * MB } }),
        link_rate_share: async () => [await linkRateShare(LONG_FAT)],
        link_round_trip_ms: async () => [await linkRoundTripMs(LONG_FAT)],
      };
      say('  warming up');
      for (const [name, warm] of Object.entries(contenders)) say(`    ${name} ${median(await warm()).toFixed(1)}`);
      const ledgers = {
        weft: [weft.to, weft.from, thin.to, longFat.to],
        stream: [stream.to, stream.from],
        verified: [verified.to, verified.from],
        bitswap: [bitswap.to, bitswap.from],
      };
      for (const ledger of Object.values(ledgers).flat()) ledger.clear();
      for (const list of [...Object.values(cpu), governed, held]) list.length = 0;
      say(`  ${rounds} rounds`);
      const series = await interleave(rounds, contenders);
      const typical = (name: string): number => median((series[name] ?? []).map(median));
      const ratio = (name: string, other: string): number =>
        median((series[name] ?? []).map((round, index) => median(round) / median(series[other]?.[index] ?? [])));
      const p95Ratio = (name: string, other: string): number =>
        median(
          (series[name] ?? []).map(
            (round, index) => quantile(round, 0.95) / quantile(series[other]?.[index] ?? [], 0.95),
          ),
        );
      const most = (of: readonly Ledger[]): number => Math.max(...of.map(({ mostMb }) => mostMb));
      const added = (of: readonly Ledger[]): number => Math.max(...of.map(({ addedMb }) => addedMb));
      const longFatShare = (name: string): number => (typical(name) * MB) / LONG_FAT.bytesPerSecond;
      return {
        figures: {
          weft_mb_per_s: typical('weft_mb_per_s'),
          ratio_vs_libp2p_stream: ratio('weft_mb_per_s', 'stream_mb_per_s'),
          ratio_vs_verified_stream: ratio('weft_mb_per_s', 'verified_stream_mb_per_s'),
          verified_ratio_vs_libp2p_stream: ratio('verified_stream_mb_per_s', 'stream_mb_per_s'),
          ratio_vs_bitswap: ratio('weft_mb_per_s', 'bitswap_mb_per_s'),
          weft_cpu_s_per_gb: median(cpu.weft),
          stream_cpu_s_per_gb: median(cpu.stream),
          verified_stream_cpu_s_per_gb: median(cpu.verified),
          sum_share: (typical('thin_mb_per_s') * MB) / (THIN.count * THIN.bytesPerSecond),
          long_fat_share: longFatShare('long_fat_mb_per_s'),
          long_fat_stream_share: longFatShare('long_fat_stream_mb_per_s'),
          long_fat_streams_share: longFatShare('long_fat_streams_mb_per_s'),
          link_rate_share: typical('link_rate_share'),
          link_round_trip_ms: typical('link_round_trip_ms'),
          heap_external_mb_max: most(ledgers.weft),
          stream_heap_external_mb_max: most(ledgers.stream),
          verified_stream_heap_external_mb_max: most(ledgers.verified),
          bitswap_heap_external_mb_max: most(ledgers.bitswap),
          heap_external_added_mb_max: added(ledgers.weft),
          stream_heap_external_added_mb_max: added(ledgers.stream),
          verified_stream_heap_external_added_mb_max: added(ledgers.verified),
          bitswap_heap_external_added_mb_max: added(ledgers.bitswap),
          chat_p95_ratio: p95Ratio('chat_beside_gap_ms', 'chat_alone_gap_ms'),
          stream_chat_p95_ratio: p95Ratio('chat_stream_gap_ms', 'chat_alone_gap_ms'),
          chat_p95_ratio_vs_stream: p95Ratio('chat_beside_gap_ms', 'chat_stream_gap_ms'),
          governed_mb_per_s: median(governed),
          stream_held_mb_per_s: median(held),
        },
        samples: {
          ...Object.fromEntries(Object.entries(series).map(([name, list]) => [name, list.flat()])),
          receiver_heap_external_mb: weft.to.heapExternalMb,
          sender_heap_external_mb: weft.from.heapExternalMb,
          thin_heap_external_mb: thin.to.heapExternalMb,
          long_fat_heap_external_mb: longFat.to.heapExternalMb,
          stream_heap_external_mb: ledgers.stream.flatMap(({ heapExternalMb }) => heapExternalMb),
          verified_stream_heap_external_mb: ledgers.verified.flatMap(({ heapExternalMb }) => heapExternalMb),
          bitswap_heap_external_mb: ledgers.bitswap.flatMap(({ heapExternalMb }) => heapExternalMb),
          governed_mb_per_s: governed,
          stream_held_mb_per_s: held,
        },
      };
    } finally {
      await stage.clear();
    }
  },
};
