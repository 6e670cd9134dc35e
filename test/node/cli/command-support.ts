// Command lines against a fake daemon, with the answers that most commands need.
import { runProgram } from '../../../node/cli/program.ts';
import { type FakeDaemon, fakeDaemon, homeOf, type RecordedContext, recordedContext } from './fake-daemon.ts';

export const HARDWARE = {
  platform: 'linux',
  arch: 'x64',
  cpuModel: 'EPYC',
  cpuCount: 2,
  memoryBytes: 8_000_000_000,
  devices: [{ kind: 'cpu', name: 'cpu', memoryBytes: 8_000_000_000 }],
};

export const STATUS = {
  node: 'n1',
  name: 'laptop',
  version: '0.1.0',
  mesh: 'ab'.repeat(32),
  role: 'admin',
  api: 'http://127.0.0.1:9338',
  addresses: ['/ip4/127.0.0.1/tcp/9339/p2p/n1'],
  home: '/data',
  offer: 'all',
  members: 2,
  peersConnected: 1,
  requestsInFlight: 0,
  uptimeSeconds: 75,
  hardware: HARDWARE,
  load: { requestsInFlight: 0, queuedMs: 20, latencyMs: 12, memoryFreeBytes: 2_500_000_000 },
};

export const MEMBERS = {
  members: [
    { node: 'n1', name: 'laptop', role: 'admin' },
    { node: 'n2', name: 'server', role: 'member' },
  ],
};

/** A peer as the control API shows it, in reach and with one model in memory. */
export const PEER = {
  node: 'n2',
  name: 'server',
  state: 'connected',
  version: '0.1.0',
  hardware: HARDWARE,
  offers: [
    {
      model: { id: 'org/chat', digest: `sha256:${'0'.repeat(64)}` },
      aliases: ['chat'],
      task: 'text-generation',
      state: 'loaded',
      contextLength: 8_192,
      dimensions: 0,
      sizeBytes: 108_600_000,
      profile: { fixedMs: 1, perTokenMs: 1, decodeMs: 1, loadMs: 1, samples: 1 },
    },
  ],
  load: { requestsInFlight: 2, queuedMs: 340, latencyMs: 10, memoryFreeBytes: 4_000_000_000 },
  link: { rttMs: 0.42, goodputBytesPerSecond: 93_000_000, path: 'direct' },
  heardAgoMs: 12,
};

/** A peer that is not reached. */
export const GONE = { node: 'n3', name: 'old', state: 'gone', version: '', offers: PEER.offers };

/** A name with which its owner would like to drive other people's terminals. */
export const HOSTILE = '\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}evil\r\n';

/** True for text that does something to a terminal beside standing in it. */
export const drivesTerminal = (text: string): boolean => /(?!\n)[\p{Cc}\u{202a}-\u{202e}]/u.test(text);

export type Routes = Parameters<typeof fakeDaemon>[0];

export interface CommandRun {
  readonly context: RecordedContext;
  readonly requests: FakeDaemon['requests'];
}

/** Runs a command line against a daemon with these routes beside `status` and `members`. */
export async function runCommand(
  args: readonly string[],
  routes: Routes,
  context: RecordedContext = recordedContext(),
): Promise<CommandRun> {
  await using daemon = await fakeDaemon({ 'GET /api/v1/status': STATUS, 'GET /api/v1/members': MEMBERS, ...routes });
  await using home = await homeOf(daemon.url);
  await runProgram([...args, '--home', home.folder], context, '0.0.0');
  return { context, requests: daemon.requests };
}
