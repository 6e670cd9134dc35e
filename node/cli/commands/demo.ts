// `weft demo`: a mesh of five at work on this machine, one of them lost in the middle of an answer.
import type { Command } from 'commander';
import { WeftError } from '../../../protocol/errors.ts';
import { systemClock } from '../../core/clock.ts';
import { type CommandContext, printJson } from '../context.ts';
import { DEMO_MS_MAX } from '../demo/limits.ts';
import { type DemoMesh, startMesh } from '../demo/mesh.ts';
import { machineTable, reasons, requestTable, toJson } from '../demo/report.ts';
import { playScenario } from '../demo/scenario.ts';
import { formatMs, printable, printableLines } from '../format.ts';
import { thisMachine } from '../service/description.ts';

interface Options {
  readonly json?: true;
  readonly keep?: true;
}

export function define(command: Command, context: CommandContext): void {
  command
    .option('--json', 'print the outcome as one JSON object')
    .option('--keep', 'leave it running afterwards, to play with; Ctrl-C ends it')
    .action((options: Options) => demo(options, context));
}

async function demo(options: Options, context: CommandContext): Promise<void> {
  const { stdout, stderr, signal: asked } = context;
  const told = options.json ? stderr : stdout;
  const say = (line: string): void => void told.write(`${printable(line)}\n`);
  const show = (text: string): void => void told.write(printableLines(text));
  const overdue = AbortSignal.timeout(DEMO_MS_MAX);
  const signal = AbortSignal.any([asked, overdue]);
  const startedMs = systemClock.now();
  try {
    say('Five daemons on this machine, each a process of its own; the links between them are slowed down.');
    const components = { clock: systemClock, env: context.env, bin: thisMachine(context.env).bin };
    await using mesh = await startMesh(components, { signal, say });
    show(`\n${machineTable(mesh)}\n`);
    const result = await playScenario({ mesh, clock: systemClock }, { signal, say, show });
    const { killed, continuedBy, pauseMs, tokens } = result.recovery;
    const totalMs = systemClock.now() - startedMs;
    show(`\n${requestTable(mesh, result.requests)}`);
    const why = reasons(mesh, result.requests);
    if (why !== '') show(`\nWhy there:\n${why}`);
    say('');
    say(
      `${killed} was killed, and ${continuedBy} went on after ${formatMs(pauseMs)}: all ${tokens} tokens, none twice,`,
    );
    say('the same text as without the loss.');
    if (options.keep) await keep(mesh, say, asked);
    else say(`Done in ${formatMs(totalMs)}. Cleaning up.`);
    if (options.json) printJson(context, toJson(mesh, result, totalMs));
  } catch (error) {
    if (asked.aborted) {
      throw new WeftError({ code: 'cancelled', message: 'The demonstration was ended.' }, { cause: error });
    }
    if (!overdue.aborted) throw error;
    throw new WeftError(
      {
        code: 'deadline_exceeded',
        message: `The demonstration was not done after ${formatMs(DEMO_MS_MAX)}.`,
        remedy: 'Try again when this machine has less to do.',
      },
      { cause: error },
    );
  }
}

/** Until the person has played enough. */
async function keep({ edge }: DemoMesh, say: (line: string) => void, signal: AbortSignal): Promise<void> {
  say('');
  say('It stays as it is until Ctrl-C. In another terminal:');
  say(`  weft run smollm2 --home ${edge.daemon.home}`);
  say(`  weft peers --home ${edge.daemon.home}`);
  say(`  API: ${edge.daemon.url}/v1`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
