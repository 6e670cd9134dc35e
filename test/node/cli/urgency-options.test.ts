// `--deadline` and `--priority` of the commands that send work, on the program's own command line, against a fake daemon.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { urgencyHeaders } from '../../../node/cli/urgency-options.ts';
import { runCommand } from './command-support.ts';
import { sendChat, sendJson } from './fake-daemon.ts';

const EMBEDDED = {
  model: 'org/minilm',
  data: [{ embedding: [1] }],
  usage: { prompt_tokens: 1 },
  weft: { nodes: ['n2'] },
};
const INFERRED = {
  model: 'org/graph',
  outputs: [],
  timing: { queueMs: 0, loadMs: 0, computeMs: 1, prefillMs: 0 },
  nodes: ['n2'],
  plan: { kind: 'remote', predictedMs: 2 },
};

const COMMANDS: readonly (readonly [string, readonly string[]])[] = [
  ['run', ['run', 'smollm2', 'Hi']],
  ['embed', ['embed', 'minilm', 'Hi']],
  ['infer', ['infer', 'graph', '-i', 'x=[1]']],
];

type Answer = (response: ServerResponse, send: () => void) => void;

/** Runs a line; returns the headers of each request for work. */
async function headersOf(line: readonly string[], answer: Answer = (_response, send) => send()) {
  const sent: IncomingHttpHeaders[] = [];
  const route =
    (send: (response: ServerResponse) => void) =>
    (_body: unknown, response: ServerResponse, { headers }: IncomingMessage): void => {
      sent.push(headers);
      answer(response, () => send(response));
    };
  const run = await runCommand(line, {
    'GET /api/v1/models/graph': { id: 'org/graph', inputs: [], outputs: [] },
    'POST /v1/chat/completions': route((response) => sendChat(response, ['Hello'])),
    'POST /v1/embeddings': route((response) => sendJson(response, EMBEDDED)),
    'POST /api/v1/infer': route((response) => sendJson(response, INFERRED)),
  });
  return { sent, context: run.context };
}

describe.each(COMMANDS)('weft %s', (_name, line) => {
  it('passes on deadline and priority, and neither where none is given', async () => {
    const { sent } = await headersOf([...line, '--deadline', '2h', '--priority', 'batch']);
    expect(sent).toMatchObject([{ 'x-weft-priority': 'batch' }]);
    // A moment of it may be gone.
    const deadlineMs = Number(sent[0]?.['x-weft-deadline-ms']);
    expect(deadlineMs).toBeGreaterThan(7_000_000);
    expect(deadlineMs).toBeLessThanOrEqual(7_200_000);
    const plain = await headersOf(line);
    expect(plain.sent[0]).not.toHaveProperty('x-weft-deadline-ms');
    expect(plain.sent[0]).not.toHaveProperty('x-weft-priority');
  });

  it.each([
    ['--deadline', 'soon'],
    ['--deadline', '0'],
    ['--deadline', '25h'],
    ['--priority', 'urgent'],
  ])('takes no %s of %s', async (option, value) => {
    await expect(headersOf([...line, option, value])).rejects.toMatchObject({ code: 'commander.invalidArgument' });
  });

  it('says how long it would take, and what to type, where it is refused for want of time', async () => {
    const refused: Answer = (response) => {
      const message = 'The answer would take 812 ms, and 30 ms are left for it.';
      const error = { message, weft_code: 'deadline_unmeetable', remedy: 'Allow more.', quoted_ms: 812 };
      response
        .writeHead(503, { 'content-type': 'application/json', 'retry-after': '2' })
        .end(JSON.stringify({ error }));
    };
    await expect(headersOf([...line, '--deadline', '30'], refused)).rejects.toMatchObject({
      code: 'deadline_unmeetable',
      message: expect.stringContaining('812 ms'),
      remedy: 'Allow more time, as with --deadline 820ms, or try again in 2.0 s.',
    });
  });
});

describe('a refusal for want of time', () => {
  it.each([
    [12_345, '13s'],
    [7, '7ms'],
    [100, '100ms'],
    [99_500, '1m40s'],
  ])('of %d ms advises a deadline of %s', async (quoted_ms, deadline) => {
    const error = { message: 'Too late.', weft_code: 'deadline_unmeetable', quoted_ms };
    const answer: Answer = (response) => void response.writeHead(503).end(JSON.stringify({ error }));
    await expect(headersOf(['embed', 'minilm', 'Hi'], answer)).rejects.toMatchObject({
      remedy: `Allow more time, as with --deadline ${deadline}.`,
    });
  });

  it("keeps the node's own advice where it quotes nothing, or fails otherwise", async () => {
    for (const error of [
      { message: 'Too late.', weft_code: 'deadline_unmeetable', remedy: 'Allow more.' },
      { message: 'Too many.', weft_code: 'overloaded', remedy: 'Allow more.', quoted_ms: 5 },
    ]) {
      const answer: Answer = (response) => void response.writeHead(503).end(JSON.stringify({ error }));
      await expect(headersOf(['embed', 'minilm', 'Hi'], answer)).rejects.toMatchObject({ remedy: 'Allow more.' });
    }
  });
});

it('a later request of a command has what is left of its deadline, and an instant at least', () => {
  expect(urgencyHeaders({ deadline: 500 }, 120.5)).toEqual({ 'x-weft-deadline-ms': '379' });
  expect(urgencyHeaders({ deadline: 500 }, 700)).toEqual({ 'x-weft-deadline-ms': '1' });
});
