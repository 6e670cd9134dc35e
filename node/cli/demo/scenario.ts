// What happens in the demonstration, and whether it went as Weft promises.
import { WeftError } from '../../../protocol/errors.ts';
import type { Clock } from '../../core/clock.ts';
import { BATCH, BATCHES, QUESTIONS, STORY, TEXTS } from './cast.ts';
import { CHAT_TOKENS_MAX, PIECES_BEFORE_LOSS, STREAM_TOKENS_MAX } from './limits.ts';
import type { DemoMesh } from './mesh.ts';
import { type Answered, chat, embed, type RequestComponents, type Streamed, stream } from './requests.ts';

/** How an answer went on without the node that had begun it. */
export interface Recovery {
  /** Name of the machine that was killed. */
  readonly killed: string;
  /** Name of the machine that went on. */
  readonly continuedBy: string;
  /** The longest that nothing came. */
  readonly pauseMs: number;
  readonly tokens: number;
  /** The answer is the undisturbed one, character by character. */
  readonly sameText: boolean;
}

export interface DemoResult {
  readonly requests: readonly Answered[];
  readonly recovery: Recovery;
}

export interface ScenarioInit {
  readonly signal: AbortSignal;
  /** Tells the person what happens. */
  readonly say: (line: string) => void;
  /** The answer that loses its node, piece by piece, with what happened in between. */
  readonly show: (text: string) => void;
}

/** @throws WeftError for a request that failed, or an outcome that breaks a promise, with what was wrong */
export async function playScenario(
  { mesh, clock }: { readonly mesh: DemoMesh; readonly clock: Clock },
  { signal, say, show }: ScenarioInit,
): Promise<DemoResult> {
  const edge = mesh.edge.daemon;
  const components: RequestComponents = { client: edge.client, clock, signal };
  const requests: Answered[] = [];

  say(`${edge.name} asks for embeddings, first of one text, then of ${TEXTS.length} at once`);
  requests.push(await embed(components, 'embed 1 text', TEXTS.slice(0, 1)));
  requests.push(await embed(components, `embed ${TEXTS.length} texts`, TEXTS));

  say(`${edge.name} asks for ${BATCHES} batches of ${BATCH.length} embeddings at once`);
  requests.push(
    ...(await Promise.all(
      Array.from({ length: BATCHES }, (_, at) => embed(components, `batch ${at + 1} of ${BATCHES}`, BATCH)),
    )),
  );

  say(`${edge.name} asks ${QUESTIONS.length} questions at once`);
  requests.push(
    ...(await Promise.all(
      QUESTIONS.map((question, at) =>
        chat(components, `chat ${at + 1} of ${QUESTIONS.length}`, { question, maxTokens: CHAT_TOKENS_MAX }),
      ),
    )),
  );

  say(`${edge.name} asks for a story, streamed`);
  const question = { question: STORY, maxTokens: STREAM_TOKENS_MAX };
  const undisturbed = await stream(components, 'streamed chat', question);
  requests.push(undisturbed);

  say('The same again; its node is killed (SIGKILL) in the middle:');
  let killing: Promise<void> | undefined;
  let killed = '';
  const disturbed = await stream(components, 'its node killed', {
    ...question,
    onPiece: (text, count, node) => {
      show(text);
      if (count !== PIECES_BEFORE_LOSS) return;
      killed = mesh.nameOf(node);
      show(` [${killed} killed] `);
      killing = mesh.workers.find(({ daemon }) => daemon.node === node)?.daemon.kill();
    },
  });
  show('\n');
  await killing;
  requests.push(disturbed);
  const recovery = judged(mesh, requests, undisturbed, disturbed, killed);
  return { requests, recovery };
}

/** Holds the outcome against what was promised. @throws WeftError `internal` */
function judged(
  mesh: DemoMesh,
  requests: readonly Answered[],
  undisturbed: Streamed,
  disturbed: Streamed,
  killed: string,
): Recovery {
  for (const { what, nodes } of requests) {
    check(nodes.length > 0, `nobody says who answered "${what}"`);
    check(!nodes.includes(mesh.edge.daemon.node), `"${what}" ran on ${mesh.edge.daemon.name}, which offers nothing`);
  }
  const [first, ...others] = disturbed.nodes.map(mesh.nameOf);
  const continuedBy = others.at(-1);
  check(killed !== '' && first === killed, 'the node that was killed is not the one that began the answer');
  check(continuedBy !== undefined && continuedBy !== killed, `nobody went on for ${killed}`);
  check(
    disturbed.tokens === undisturbed.tokens,
    `${undisturbed.tokens} tokens were expected, and ${disturbed.tokens} came`,
  );
  const { pauseMs, tokens } = disturbed;
  const sameText = disturbed.text === undisturbed.text;
  check(sameText, `the answer is not the same as without the loss: ${JSON.stringify(disturbed.text)}`);
  return { killed, continuedBy: continuedBy ?? '', pauseMs, tokens, sameText };
}

function check(holds: boolean, otherwise: string): void {
  if (holds) return;
  throw new WeftError({
    code: 'internal',
    message: `The demonstration did not go as it should: ${otherwise}.`,
    remedy: 'Try again; if it stays, report it with the output of `weft demo --json`.',
  });
}
