// `weft serve`: starts the node, says where it answers and what to type next, and serves until it is asked to stop.
import type { Command } from 'commander';
import { WeftError } from '../../../protocol/errors.ts';
import type { RunningNode } from '../../app/node.ts';
import { homeFolder, openHome } from '../../config/home.ts';
import { loadSettings, type SettingsInit } from '../../config/settings.ts';
import { SETTINGS, type SettingName } from '../../config/settings-table.ts';
import { type CommandContext, endSoon } from '../context.ts';
import { STOP_MS_MAX } from '../limits.ts';
import { logLines } from '../log-lines.ts';
import { VERSION } from '../version.ts';
import { welcome } from '../welcome.ts';

interface Options {
  readonly home?: string;
  readonly join?: string;
  readonly selfCheck?: true;
}

/** What each setting is for; how its value is written stands in the table of settings. */
const SUMMARIES: Readonly<Record<SettingName, string>> = {
  host: 'where the API listens',
  apiKey: 'key that the API asks for',
  origins: 'pages that may call the API',
  listen: 'where peers are awaited',
  announce: 'addresses that peers are told as well',
  mdns: 'neither announce this node on the local network nor look there for others',
  name: 'what this node calls itself',
  offer: 'which models this node runs, for itself and for others',
  models: 'where further models lie, and are brought to',
  storage: 'most disk of all models together',
  hub: 'where models are fetched that no node of the mesh has',
  hubToken: 'key for models that the hub gives to few',
  offline: 'never ask the hub',
  signers: 'whose signature a model needs to be brought here',
  bring: 'fetch models that requests keep asking other nodes for',
  lend: 'compute for other members (false: only for requests of this node)',
  preferOthers: 'leave work to others on battery, or while the owner works here',
  rawLocal: 'models whose requests keep what they bring on this node',
  share: "let members read the files of this node's models",
  managed: 'who may manage this node from a node of their own',
  device: 'what models run on',
  threads: 'processor threads of all models together',
  memory: 'most memory of all loaded models together',
  keepAlive: 'how long an idle model stays loaded',
  pin: 'models that are loaded at once and stay',
  replicas: 'copies of models over the mesh: smollm2=1..3,minilm=2',
  maxQueue: 'predicted work that may wait here before requests are refused',
  numParallel: 'generations of one model at once',
  exact: 'compute every answer by itself: slower, and the same seed gives the same text again',
  measure: 'never measure loaded models, not even while there is nothing else to do',
  lenient: 'pass over unknown parameters of a request instead of refusing them',
  livenessTimeout: 'silence after which a peer counts as lost',
  runnerTimeout: 'silence after which a model process counts as hung',
  logLevel: 'least level of the lines on stderr',
  otlpEndpoint: 'where traces are sent',
};

const settingNames = Object.keys(SETTINGS) as SettingName[];

export function define(command: Command, context: CommandContext): void {
  command
    .option('--join <ticket>', "join the ticket's mesh first; repeating it does no harm")
    .option('--self-check', 'answer one embedding and one chat before anything is said')
    .option('--home <folder>', 'data folder (WEFT_HOME)');
  for (const name of settingNames) {
    const { flag, isSwitch, env, expected } = SETTINGS[name];
    command.option(
      isSwitch ? flag : `${flag} <value>`,
      `${SUMMARIES[name]}${isSwitch ? '' : `: ${expected}`} (${env})`,
    );
  }
  command.action((options: Options) => serve(options, givenFlags(command), context));
}

/** What stands on the command line; commander's own defaults are not asked for. */
function givenFlags(command: Command): SettingsInit['flags'] {
  const given = settingNames.filter((name) => command.getOptionValueSource(name) === 'cli');
  return Object.fromEntries(given.map((name) => [name, command.getOptionValue(name)]));
}

async function serve(options: Options, flags: SettingsInit['flags'], context: CommandContext): Promise<void> {
  // The data folder is let go in between.
  if ((await serveOnce(options, flags, context)) === 'anew') await context.startAnew();
}

/** @returns whether the node has ended, or is to begin anew */
async function serveOnce(
  options: Options,
  flags: SettingsInit['flags'],
  context: CommandContext,
): Promise<'ended' | 'anew'> {
  const folder = homeFolder({ env: context.env, asked: options.home });
  const settingsInit = { flags, env: context.env, home: folder };
  const settings = loadSettings(settingsInit);
  const [{ startNode }, { createPinoLog }] = await Promise.all([
    import('../../app/node.ts'),
    import('../../telemetry/pino-log.ts'),
  ]);
  await using home = await openHome({ folder });
  const log = createPinoLog({ level: 'debug', destination: logLines(context.stderr) });
  const asked = new AbortController();
  let anew = false;
  const node = await startNode({
    settings,
    settingsInit,
    home,
    log,
    version: VERSION,
    requestStop: () => asked.abort(),
    requestRestart: () => {
      // Whoever asks for an end first gets it.
      if (asked.signal.aborted || context.signal.aborted) return;
      anew = true;
      asked.abort();
    },
    joinTicket: options.join,
  });
  try {
    const signal = AbortSignal.any([context.signal, asked.signal]);
    await welcome({ node, home, context: { ...context, signal } }, { selfCheck: options.selfCheck === true });
    await aborted(signal);
    context.stdout.write(anew ? 'Restarting.\n' : 'Stopping.\n');
  } finally {
    await stop(node, context, anew);
  }
  return anew ? 'anew' : 'ended';
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Ends the node in good order, or the whole process where that takes too long: its runners end with it. */
async function stop(node: RunningNode, context: CommandContext, anew: boolean): Promise<void> {
  const { exit, startAnew, stderr } = context;
  const overdue = setTimeout(() => {
    const remedy = 'Nothing to do: the operating system cleans up. Report it with the lines above.';
    const message = `The node did not stop within ${STOP_MS_MAX} ms and was ended by force.`;
    void import('../errors.ts').then(({ describeError }) => {
      stderr.write(describeError(new WeftError({ code: 'internal', message, remedy })));
      if (anew) void startAnew();
      else exit(1);
    });
  }, STOP_MS_MAX);
  try {
    await node.stop();
  } finally {
    clearTimeout(overdue);
    // The new process takes this one's place, or this one waits for it.
    if (!anew) endSoon(context);
  }
}
