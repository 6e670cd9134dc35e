// The kill tests' engine room: one stream, one fault at a random moment of it, and what must hold afterwards. Used by the
// short form in test/e2e and the long form in test/chaos.
import { expect } from 'vitest';
import { LONG_ANSWER, type StreamedAnswer, type StreamInit, SURE_ANSWER, streamChat } from './chat.ts';
import { connectedPeers } from './connected-peers.ts';
import type { Daemon } from './daemon.ts';
import type { SeededRandom } from './seeded.ts';
import { isAlive, until } from './wait.ts';

/** How something is lost: a clean kill, a process that stops, and (peers only) a link that goes silent. */
export type Fault = 'kill' | 'stop' | 'silence';

/** A peer can also stay while the runner behind it is killed. */
export type PeerFault = Fault | 'runner';

/** Tokens of each stream: long enough for a moment in the middle, short enough for hundreds of runs. */
const TOKENS = 24;

/** The pid of the runner that holds the chat model in this daemon; undefined while none does. */
async function findChatRunnerPid(daemon: Daemon): Promise<number | undefined> {
  const response = await fetch(`${daemon.url}/api/v1/ps`, { headers: { authorization: `Bearer ${daemon.key}` } });
  const { models } = (await response.json()) as { models: { id: string; state: string; runnerPid?: number }[] };
  return models.find(({ id, state }) => id.includes('SmolLM2') && state === 'loaded')?.runnerPid;
}

/** What is asked by a seed. */
export type Ask = (seed: number) => StreamInit;

/** For nodes that compute exactly: a story by every even seed is greedy, by every odd one sampled. */
export const story: Ask = (seed) => ({
  messages: LONG_ANSWER,
  maxTokens: TOKENS,
  seed,
  temperature: seed % 2 === 0 ? 0 : 0.8,
});

/** For any node. What is lost, doubled or out of order shows in numbers that are counted. */
export const counting: Ask = (seed) => ({ messages: SURE_ANSWER, maxTokens: TOKENS, seed });

/** Nodes, and what can be asked of them so that the answer without a fault is known. */
export interface Kind {
  readonly nodes: string;
  readonly env: Readonly<Record<string, string>>;
  readonly ask: Ask;
}

export const AS_THEY_COME: Kind = { nodes: 'nodes as they come', env: {}, ask: counting };
export const EXACT: Kind = { nodes: 'exact nodes', env: { WEFT_EXACT: 'true' }, ask: story };

/** Streams, and what they are without a fault. */
export interface Reference {
  readonly ask: Ask;
  readonly answers: ReadonlyMap<number, StreamedAnswer>;
}

export async function referenceAnswers(daemon: Daemon, ask: Ask, seeds: readonly number[]): Promise<Reference> {
  const answers = new Map<number, StreamedAnswer>();
  for (const seed of seeds) answers.set(seed, await streamChat(daemon, ask(seed)));
  return { ask, answers };
}

function expectSame(answer: StreamedAnswer, reference: StreamedAnswer | undefined, context: string): void {
  expect(answer.text, context).toBe(reference?.text);
  expect(answer.completionTokens, context).toBe(reference?.completionTokens);
  expect(answer.promptTokens, context).toBe(reference?.promptTokens);
  expect(answer.finish, context).toBe(reference?.finish);
}

/** One stream whose runner is lost after a random number of pieces (0 = before the first). */
export async function runnerKillRun(
  daemon: Daemon,
  { ask, answers }: Reference,
  random: SeededRandom,
  faults: readonly Fault[],
): Promise<void> {
  const seed = random.pick([...answers.keys()]);
  const fault = random.pick(faults);
  const moment = random.between(0, TOKENS - 6);
  const context = `seed ${random.seed}: request seed ${seed}, ${fault} after piece ${moment}`;
  const pid = await until('a runner with the chat model', () => findChatRunnerPid(daemon));
  const strike = (): void => {
    process.kill(pid, fault === 'kill' ? 'SIGKILL' : 'SIGSTOP');
  };
  if (moment === 0) strike();
  const answer = await streamChat(daemon, {
    ...ask(seed),
    onPiece: (count) => {
      if (count === moment) strike();
    },
  });
  expectSame(answer, answers.get(seed), context);
  await until(`${context}: the lost runner to be gone`, async () => !(await isAlive(pid)));
}

/** A daemon whose link to the others can be cut, and which can be started anew on the same folder. */
export interface Target {
  readonly daemon: () => Daemon;
  readonly silence: () => void;
  /** Undoes whatever the fault did; resolves when the daemon serves again. */
  readonly restore: (fault: PeerFault) => Promise<void>;
}

/** One stream through `entry` whose executing peer is lost after a random number of pieces. */
export async function peerKillRun(
  entry: Daemon,
  targets: readonly Target[],
  { ask, answers }: Reference,
  random: SeededRandom,
  fault: PeerFault,
): Promise<void> {
  const seed = random.pick([...answers.keys()]);
  const moment = random.between(1, TOKENS - 6);
  const runners = new Map<string, number>();
  if (fault === 'runner') {
    for (const { daemon } of targets) {
      const pid = await findChatRunnerPid(daemon());
      if (pid !== undefined) runners.set(daemon().node, pid);
    }
  }
  const context = `seed ${random.seed}: request seed ${seed}, ${fault} of the peer after piece ${moment}`;
  let struck: Target | undefined;
  const answer = await streamChat(entry, {
    ...ask(seed),
    onPiece: (count, node) => {
      if (count !== moment) return;
      struck = targets.find(({ daemon }) => daemon().node === node);
      if (fault === 'runner') process.kill(runners.get(node) ?? Number.NaN, 'SIGKILL');
      else if (fault === 'kill') struck?.daemon().kill('SIGKILL');
      else if (fault === 'stop') struck?.daemon().kill('SIGSTOP');
      else struck?.silence();
    },
  });
  expect(struck, `${context}: the executing peer is one of the targets`).toBeDefined();
  expectSame(answer, answers.get(seed), context);
  await struck?.restore(fault);
  await connectedPeers(entry, targets.length);
}
