// Sessions of a graph and of its parts as their measurement needs them: opened, run and timed, traced, ended. Runs in a
// runner process of its own.
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { readTrace, type TracedRun } from '../../../models/onnx/cost/trace.ts';
import type { GraphProto, ModelProto } from '../../../models/onnx/messages/onnx_pb.js';
import { readModel, writeModel } from '../../../models/onnx/model-file.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { ModelRef } from '../../../protocol/ids.ts';
import type { NamedTensor } from '../../../protocol/tensor.ts';
import { WARM_RUNS } from '../cutting/limits.ts';
import { type GraphSettings, type GraphTrace, openGraph, runGraph, type SessionThreads } from './session.ts';

export interface CutSessionsInit extends SessionThreads {
  readonly model: ModelRef;
  /** Of the graph: what its weights are relative to. */
  readonly folder: string;
  /** An empty folder for what traced sessions write: the graph with its weights, which is deleted as soon as it is read. */
  readonly scratch: string;
}

/** A graph, or a part of one, that is ready to run. */
export interface TimedSession {
  run(inputs: readonly NamedTensor[]): Promise<TimedRun>;
  close(): Promise<void>;
}

export interface TimedRun {
  readonly outputs: readonly NamedTensor[];
  readonly ms: number;
}

/** What a traced session tells. */
export interface Traced {
  readonly runs: readonly TracedRun[];
  /** What the runtime made of the graph. */
  readonly optimised: GraphProto;
}

/** Without the runs that only warm up. */
export const warmed = ({ runs, optimised }: Traced): Traced => ({ runs: runs.slice(WARM_RUNS), optimised });

export class CutSessions {
  readonly #init: CutSessionsInit;

  constructor(init: CutSessionsInit) {
    this.#init = init;
  }

  /** @throws WeftError `model_load_failed` with what the runtime reported */
  async open(graph: ModelProto): Promise<TimedSession> {
    const session = await this.#session(graph, {});
    return {
      run: (inputs) => this.#run(session, inputs),
      close: () => session.release(),
    };
  }

  /**
   * Runs a graph so many times in a session that notes what each kernel takes.
   * @throws WeftError `model_load_failed`, `tensor_invalid` with what the runtime reported
   */
  async trace(
    graph: ModelProto,
    inputs: readonly NamedTensor[],
    options: { readonly level: GraphTrace['level']; readonly runs: number; readonly signal: AbortSignal },
  ): Promise<Traced> {
    const folder = join(this.#init.scratch, options.level);
    await mkdir(folder);
    try {
      const trace: GraphTrace = {
        level: options.level,
        prefix: join(folder, PROFILE),
        graph: join(folder, 'graph.onnx'),
        // The runtime takes it as relative to the graph.
        weights: 'weights',
      };
      const session = await this.#session(graph, { trace });
      try {
        const optimised = readModel(trace.graph).graph;
        await rm(join(folder, trace.weights), { force: true });
        if (optimised === undefined) throw noProfile();
        for (let run = 0; run < options.runs; run++) {
          options.signal.throwIfAborted();
          await this.#run(session, inputs);
        }
        session.endProfiling();
        return { runs: readTrace(await profileIn(folder)), optimised };
      } finally {
        await session.release();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #session(graph: ModelProto, settings: GraphSettings): Promise<InferenceSession> {
    const { folder, threads, shareCores } = this.#init;
    const extra = { 'session.model_external_initializers_file_folder_path': folder };
    const { session } = await openGraph(
      writeModel(graph),
      { threads, shareCores, place: undefined },
      { inputs: [] },
      { ...settings, extra },
    );
    return session;
  }

  async #run(session: InferenceSession, inputs: readonly NamedTensor[]): Promise<TimedRun> {
    const now = this.#init.threads === 1 && COUNTS_FINELY ? computedMs : () => performance.now();
    const begun = now();
    const outputs = await runGraph(session, { model: this.#init.model, inputs, outputs: [] });
    return { outputs, ms: now() - begun };
  }
}

/** Windows counts it in steps of 16 ms. */
const COUNTS_FINELY = process.platform !== 'win32';

/**
 * What this process has computed, in milliseconds. On an idle machine a run on one thread takes as long as that; where others
 * use the machine too, the clock would count their time as well. (The thread's own count lags behind by a tick on Linux.)
 */
function computedMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const PROFILE = 'profile';

async function profileIn(folder: string): Promise<string> {
  const name = (await readdir(folder)).find((file) => file.startsWith(PROFILE));
  if (name === undefined) throw noProfile();
  return readFile(join(folder, name), 'utf8');
}

const noProfile = (): WeftError => new WeftError({ code: 'internal', message: 'The runtime wrote no profile.' });
