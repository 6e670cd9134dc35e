// A thousand runners lost in the middle of a stream, in its cheap form: a small decoder, and dispatch with this node's
// engine alone. What whole daemons do is in kills.test.ts.
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../node/core/clock.ts';
import { silentLog } from '../../node/core/log.ts';
import { MeshDispatcher } from '../../node/dispatch/mesh-dispatcher.ts';
import { SessionMemory } from '../../node/memory/sessions.ts';
import type { GenerateRequest } from '../../protocol/infer.ts';
import { generateRequest, workOptions } from '../compliance/engine-requests.ts';
import { GROUPED } from '../models/onnx/decoders/config.ts';
import { writeDecoder } from '../models/onnx/decoders/folder.ts';
import { installedModel, silentTelemetry, startEngine, temporaryFolder } from '../node/engine/support.ts';
import { seededRandom } from '../support/seeded.ts';
import { isAlive, until } from '../support/wait.ts';

/** As it is shipped: it starts in a fraction of the time that the sources take. */
const RUNNER = fileURLToPath(new URL('../../dist/runner.js', import.meta.url));

const TOKENS = 40;
const KILLS_PER_PORTION = 100;
const PROMPTS = 6;

// In portions, so that a failure says how far it came.
const PORTIONS = [0, 1, 2, 3, 4, 5, 6, 7];

describe('800 runners lost during streams', () => {
  const random = seededRandom('800 runner kills');
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let engine: Awaited<ReturnType<typeof startEngine>>;
  let dispatcher: MeshDispatcher;
  let requests: GenerateRequest[];
  let answers: number[][];

  /** The tokens of one stream, in the order in which they came. @param strikeAt tokens after which its runner is lost */
  async function stream(
    request: GenerateRequest,
    strikeAt?: number,
    signal: NodeJS.Signals = 'SIGKILL',
  ): Promise<number[]> {
    const tokens: number[] = [];
    let struck: number | undefined;
    const strike = (): void => {
      struck = engine.engine.loaded()[0]?.runnerPid;
      if (struck !== undefined) process.kill(struck, signal);
    };
    if (strikeAt === 0) strike();
    const { generated } = await dispatcher.generate(request, workOptions(), (firstIndex, ids) => {
      expect(firstIndex, 'tokens come in order, none twice').toBe(tokens.length);
      const before = tokens.length;
      tokens.push(...ids);
      if (strikeAt !== undefined && before < strikeAt && tokens.length >= strikeAt) strike();
    });
    expect(generated).toBe(tokens.length);
    if (struck !== undefined) {
      const pid = struck;
      await until('the lost runner to be gone', async () => !(await isAlive(pid)));
    }
    return tokens;
  }

  beforeAll(async () => {
    folder = await temporaryFolder();
    const model = await installedModel((await writeDecoder(folder.path, 'gqaPacked', GROUPED)).folder);
    engine = await startEngine([model], { exact: true, runnerEntry: RUNNER });
    dispatcher = new MeshDispatcher({
      clock: systemClock,
      random: { next: () => 1 - Number.EPSILON },
      log: silentLog,
      telemetry: silentTelemetry,
      mesh: { peers: () => [] },
      local: engine.engine,
      remote: () => engine.engine,
      memory: new SessionMemory(),
    });
    requests = Array.from({ length: PROMPTS }, (_, index) =>
      generateRequest(
        model.ref,
        Array.from({ length: 12 }, (_, at) => 3 + ((index * 31 + at * 7) % (GROUPED.vocabulary - 3))),
        {
          maxNewTokens: TOKENS,
          sampling: { temperature: index % 2, topP: 1, topK: 0, seed: BigInt(index) },
        },
      ),
    );
    answers = [];
    for (const request of requests) answers.push(await stream(request));
  });
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  it.each(PORTIONS)('portion %i of 8: no token lost, doubled or out of order', async () => {
    for (let run = 0; run < KILLS_PER_PORTION; run++) {
      const which = random.between(0, PROMPTS - 1);
      const strikeAt = random.between(0, TOKENS - 2);
      const signal = random.next() < 0.95 ? 'SIGKILL' : 'SIGSTOP';
      const context = `seed ${random.seed}, run ${run}: request ${which}, ${signal} after token ${strikeAt}`;
      expect(await stream(requests[which] as GenerateRequest, strikeAt, signal), context).toEqual(answers[which]);
    }
  });
});
