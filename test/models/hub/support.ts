// A hub with one small model, a client of it, and a clock on which nobody waits.
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { HubClient, type HubComponents, type HubInit, type HubModel } from '../../../models/hub/hub-client.ts';
import type { WeftError } from '../../../protocol/errors.ts';
import { type Hub, type HubServerInit, startHub } from '../../support/hub-server.ts';

export const ID = 'Owner/tiny-model';
export const CHUNK = 64 << 10;
/** Four whole chunks and a part of one. */
export const WEIGHTS = randomBytes(4 * CHUNK + 1234);
export const CONFIG = Buffer.from('{"model_type": "tiny"}\n');

export const never = new AbortController().signal;

/** Real time, but for pauses: they are over at once, and noted. Deadlines come when the test says so. */
export class SwiftClock {
  readonly pauses: number[] = [];
  readonly #deadlines = new Set<() => void>();
  /** Pauses stay until the test ends them. */
  patient = false;
  #offsetMs = 0;

  readonly now = (): number => performance.now() + this.#offsetMs;
  readonly wallNow = (): number => Date.parse('2026-01-01T00:00:00Z');

  after(ms: number, callback: () => void): { cancel(): void; hold(): void } {
    this.#deadlines.add(callback);
    return {
      cancel: () => this.#deadlines.delete(callback),
      hold: () => {
        this.#deadlines.delete(callback);
        this.pauses.push(ms);
        if (this.patient) return;
        this.#offsetMs += ms;
        queueMicrotask(callback);
      },
    };
  }

  advance(ms: number): void {
    this.#offsetMs += ms;
  }

  /** Lets every deadline pass. */
  expire(): void {
    for (const callback of [...this.#deadlines]) callback();
  }

  get deadlines(): number {
    return this.#deadlines.size;
  }
}

export interface Scene {
  readonly hub: Hub;
  readonly client: HubClient;
  readonly clock: SwiftClock;
}

/** A folder that is gone after the test, with the model in it. */
export async function hubFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-hub-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const model = join(folder, ...ID.split('/'));
  await mkdir(join(model, 'onnx'), { recursive: true });
  await writeFile(join(model, 'config.json'), CONFIG);
  await writeFile(join(model, 'empty.txt'), '');
  await writeFile(join(model, 'name with ü & #.txt'), 'strange');
  await writeFile(join(model, 'onnx', 'model.onnx'), WEIGHTS);
  return folder;
}

export async function openHub(init: Partial<HubServerInit> = {}): Promise<Hub> {
  const hub = await startHub({ folder: await hubFolder(), ...init });
  onTestFinished(() => hub.close());
  return hub;
}

export function openClient(
  init: Partial<HubInit> & { readonly endpoint: string },
  clock = new SwiftClock(),
): HubClient {
  const components: HubComponents = {
    clock,
    random: { next: () => 0 },
    log: { debug: () => undefined, warn: () => undefined },
  };
  const client = new HubClient(components, {
    token: undefined,
    offline: false,
    environment: {},
    ca: undefined,
    ...init,
    limits: { stallMs: 2000, headersMs: 2000, ...init.limits },
  });
  onTestFinished(() => client.close());
  return client;
}

export async function openScene(init: Partial<HubInit> = {}, server: Partial<HubServerInit> = {}): Promise<Scene> {
  const hub = await openHub(server);
  const clock = new SwiftClock();
  return { hub, clock, client: openClient({ endpoint: hub.url, ...init }, clock) };
}

/** The weights as a transfer asks for them. */
export function weightsOf(model: HubModel) {
  const file = model.files.find(({ path }) => path === 'onnx/model.onnx');
  if (file?.sha256 === undefined) throw new Error('The model of this test has weights.');
  return { sha256: file.sha256, sizeBytes: file.sizeBytes, chunks: { sizeBytes: CHUNK, sha256: undefined } };
}

export const chunk = (index: number): Buffer => WEIGHTS.subarray(index * CHUNK, (index + 1) * CHUNK);

/** A reader of the weights' chunks. */
export async function openWeights({ client }: Pick<Scene, 'client'>) {
  const model = await client.model(ID, undefined, never);
  const source = client.source(model);
  const file = weightsOf(model);
  return (index: number, signal = never, onBytes?: (bytes: number) => void) =>
    source.read(file, index, { signal, ...(onBytes && { onBytes }) });
}

export const failure = (code: WeftError['code'], text: RegExp) =>
  ({ code, message: expectText(text) }) as Partial<WeftError>;

function expectText(pattern: RegExp): string {
  // An asymmetric matcher stands for a string.
  return { asymmetricMatch: (text: string) => pattern.test(text), toString: () => String(pattern) } as never;
}
