// Layer `runtime`: the Node that runs this, and ONNX Runtime. The runtime is loaded in a process of its own, as
// everywhere: what crashes there harms nobody. What it can compute on beside the processor is in devices.ts.
import { spawn } from 'node:child_process';
import { RUNTIME_ENV } from '../../core/runtime-env.ts';
import { type Check, type Finding, failed, ok, quoted } from './check.ts';
import { NODE_VERSION_MIN, OUTPUT_CHARS_MAX, QUICK_MS_MAX, RUNTIME_MS_MAX } from './limits.ts';

export interface RuntimeInit {
  /** The Node that runners are started with. */
  readonly nodePath: string;
  /** As `process.versions.node` has it. */
  readonly nodeVersion: string;
  /** A folder from which onnxruntime-node is found. */
  readonly packageFolder: string;
}

/** What the runtime said of one provider. */
interface Attempt {
  readonly provider: string;
  /** Undefined where it computed. */
  readonly error?: string;
}

interface ProbeAnswer {
  readonly version: string;
  readonly attempts: readonly Attempt[];
}

/** A graph that gives back its input: `Identity` over one float, opset 17. */
const GRAPH = 'CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBE=';

/** Runs in the child: computes once on each provider that its arguments name, and prints what came of it. */
const PROBE = `
import * as ort from 'onnxruntime-node';
const graph = Buffer.from(process.argv[1], 'base64');
const attempts = [];
for (const provider of process.argv.slice(2)) {
  try {
    const options = { executionProviders: [provider], logSeverityLevel: 4 };
    const session = await ort.InferenceSession.create(graph, options);
    const { y } = await session.run({ x: new ort.Tensor('float32', [1.5], [1]) });
    attempts.push(y.data[0] === 1.5 ? { provider } : { provider, error: 'computes wrong values' });
  } catch (error) {
    attempts.push({ provider, error: String(error.message ?? error) });
  }
}
process.stdout.write(JSON.stringify({ version: ort.env.versions.node ?? ort.env.versions.common, attempts }) + '\\n');
process.exit(0);
`;

const REINSTALL = 'Install Weft again (`npm ci`, or `npm install` of the package) on this machine itself.';

export function runtimeChecks(init: RuntimeInit): readonly Check[] {
  return [
    {
      layer: 'runtime',
      name: 'Node',
      deadlineMs: QUICK_MS_MAX,
      overdueRemedy: REINSTALL,
      run: async () => [judgeNode(init.nodeVersion)],
    },
    {
      layer: 'runtime',
      name: 'ONNX Runtime',
      deadlineMs: RUNTIME_MS_MAX,
      overdueRemedy: 'Look whether the machine is out of memory or overloaded, and try again.',
      run: async (signal) => [judgeRuntime(await probe(init, ['cpu'], signal))],
    },
  ];
}

/** Whether this Node has what Weft uses. */
export function judgeNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = NODE_VERSION_MIN;
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return ok('Node', `Node ${version}`);
  return failed(
    'Node',
    `Node ${version} is too old: ${leastMajor}.${leastMinor} or later is needed.`,
    'Start Weft by its own `weft` command, which brings a Node along, or update Node.',
  );
}

/** What a child's run says of the processor. */
export function judgeRuntime(result: ProbeResult): Finding {
  const name = 'ONNX Runtime';
  if (result.answer === undefined) {
    return failed(name, `It can't be loaded: ${result.failure}`, REINSTALL);
  }
  const { version, attempts } = result.answer;
  const error = attempts.find(({ provider }) => provider === 'cpu')?.error;
  if (error === undefined) return ok(name, `version ${version} computes on the processor`);
  return failed(name, `version ${version} is loaded, and can't compute: ${quoted(error)}`, REINSTALL);
}

export interface ProbeResult {
  readonly answer: ProbeAnswer | undefined;
  /** Why there is no answer. */
  readonly failure: string;
}

/** Starts the child, and reads what it prints. */
export async function probe(
  { nodePath, packageFolder }: RuntimeInit,
  providers: readonly string[],
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const child = spawn(nodePath, ['--input-type=module', '--eval', PROBE, GRAPH, ...providers], {
    cwd: packageFolder,
    env: { ...process.env, ...RUNTIME_ENV },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
    windowsHide: true,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (stdout.length < OUTPUT_CHARS_MAX) stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < OUTPUT_CHARS_MAX) stderr += text;
  });
  child.once('error', (error) => resolve({ answer: undefined, failure: quoted(error.message) }));
  child.once('close', (code, killed) => {
    const answer = code === 0 ? parse(stdout) : undefined;
    resolve({ answer, failure: answer === undefined ? told(stderr, killed ?? `code ${code}`) : '' });
  });
  return promise;
}

/** The child's own last words that name an error, else how it ended. */
function told(stderr: string, ending: string): string {
  const line = stderr.split('\n').findLast((candidate) => /error|cannot|can't/i.test(candidate));
  return line === undefined ? `its process ended with ${ending}.` : quoted(line);
}

function parse(stdout: string): ProbeAnswer | undefined {
  try {
    return JSON.parse(stdout) as ProbeAnswer;
  } catch {
    return undefined; // The runtime itself printed something, or the child ended in the middle.
  }
}
