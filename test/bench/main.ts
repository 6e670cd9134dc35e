// `npm run bench -- NAME [--rounds N] [--threads N] [--gguf PATH] [--json]`: runs one benchmark side by side with its contenders.
// With --json the last line of the output is one JSON object; everything else goes to stderr.
import { parseArgs } from 'node:util';
import { batch } from './batch.ts';
import { decode } from './decode.ts';
import { encode } from './encode.ts';
import { forced } from './forced.ts';
import { frames } from './frames.ts';
import { grammar } from './grammar.ts';
import { type Benchmark, machine, median, rounded } from './harness.ts';
import { http } from './http.ts';
import { importing } from './import.ts';
import { live } from './live.ts';
import { llm } from './llm.ts';
import { memory } from './memory.ts';
import { parts } from './parts.ts';
import { predict } from './predict.ts';
import { recover } from './recover.ts';
import { remote } from './remote.ts';
import { route } from './route.ts';
import { scatter } from './scatter.ts';
import { split } from './split.ts';
import { startup } from './startup.ts';
import { transfer } from './transfer.ts';
import { ui } from './ui.ts';

const BENCHMARKS: readonly Benchmark[] = [
  remote,
  encode,
  decode,
  startup,
  recover,
  scatter,
  http,
  grammar,
  llm,
  batch,
  memory,
  importing,
  transfer,
  route,
  live,
  split,
  forced,
  predict,
  frames,
  parts,
  ui,
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '9' },
    threads: { type: 'string' },
    gguf: { type: 'string' },
  },
});
const benchmark = BENCHMARKS.find(({ name }) => name === positionals[0]);
if (benchmark === undefined) {
  console.error('Usage: npm run bench -- NAME [--rounds N] [--threads N] [--gguf PATH] [--json]\n');
  for (const { name, summary } of BENCHMARKS) console.error(`  ${name.padEnd(10)} ${summary}`);
  process.exitCode = 2;
} else {
  const result = await benchmark.run({
    rounds: Number(values.rounds),
    threads: Number(values.threads ?? benchmark.threads ?? 1),
    gguf: values.gguf,
    say: (line) => console.error(line),
  });
  for (const [series, samples] of Object.entries(result.samples)) {
    if (samples.length === 0) throw new Error(`${series} has no samples: a contender that can't run is a failure.`);
    const range = `${rounded(Math.min(...samples))} … ${rounded(Math.max(...samples))}`;
    console.error(`  ${series.padEnd(34)} median ${String(rounded(median(samples))).padStart(10)}   ${range}`);
  }
  for (const [figure, value] of Object.entries(result.figures)) console.error(`${figure.padEnd(36)} ${rounded(value)}`);
  const figures = Object.fromEntries(Object.entries(result.figures).map(([key, value]) => [key, rounded(value)]));
  const samples = Object.fromEntries(Object.entries(result.samples).map(([key, list]) => [key, list.map(rounded)]));
  if (values.json) console.log(JSON.stringify({ bench: benchmark.name, figures, samples, machine: machine() }));
}
