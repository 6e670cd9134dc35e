// `npm run sim -- --seeds N [--from S] [--policy NAME]`: random worlds, one per seed; the first failure is told with its
// seed, commit and options, and ends with exit code 1. `--seed S --replay` runs one again and prints everything in it.
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { runRandomWorld } from './random-world.ts';
import { SimFailure } from './sim-failure.ts';

const USAGE = 'Usage: npm run sim -- [--seeds N] [--from S] [--policy NAME] | --seed S [--replay] [--policy NAME]';

/** A line of progress after so many worlds. */
const TELL_EVERY = 100;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    replay: { type: 'boolean', default: false },
    policy: { type: 'string', default: 'weft' },
  },
});
const one = values.seed !== undefined;
const from = Number(values.seed ?? values.from);
const count = one ? 1 : Number(values.seeds);

if (!Number.isSafeInteger(from) || !Number.isSafeInteger(count) || count < 1) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  await runSeeds();
}

async function runSeeds(): Promise<void> {
  const begunMs = performance.now();
  let requests = 0;
  let simulatedMs = 0;
  for (let seed = from; seed < from + count; seed++) {
    try {
      const onLine = values.replay ? (line: string): void => console.log(line) : undefined;
      const report = await runRandomWorld(seed, { policy: values.policy, onLine });
      requests += report.requests;
      simulatedMs += report.endedMs;
      if (one) console.log(report);
    } catch (error) {
      if (!(error instanceof SimFailure)) throw error;
      tell(error);
      process.exitCode = 1;
      return;
    }
    if ((seed - from + 1) % TELL_EVERY === 0) console.error(`${seed - from + 1} of ${count} worlds hold`);
  }
  const tookMs = performance.now() - begunMs;
  console.error(
    `${count} worlds, ${requests} requests: all hold (${(tookMs / 1_000).toFixed(1)} s, ${Math.round(simulatedMs / tookMs)} times real time).`,
  );
}

function tell(failure: SimFailure): void {
  const options = `--policy ${values.policy}`;
  if (!values.replay) for (const line of failure.tail) console.error(`  ${line}`);
  console.error(`FAILED: ${failure.message}`);
  console.error(`  seed ${failure.seed}, commit ${commit()}, options ${options}, hash ${failure.hash}`);
  console.error(`  again: npm run sim -- --seed ${failure.seed} --replay ${options}`);
}

/** What was tested: a failure repeats only on the same code. */
function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}
