// `weft trace [REQUEST]`: which way a request took, what each part was predicted to take and took; without an id the last
// requests.
import type { Command } from 'commander';
import type { RequestAnswer, RequestsAnswer } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { leftText, ranText } from '../cuts-view.ts';
import { formatMs, printable, table } from '../format.ts';
import { TRACES_LISTED } from '../limits.ts';
import { type NameOf, nodeNames } from '../node-names.ts';
import { planLines, spanTable } from '../plan-view.ts';
import { readingOptions } from '../reading-command.ts';
import { requestColumns } from '../top-view.ts';

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .argument('[request]', 'its id: `x-request-id` of the answer; without one the last requests are listed')
    .action((id: string | undefined, options: ReadingOptions) =>
      id === undefined ? list(options, context) : show(id, options, context),
    );
}

async function list(options: ReadingOptions, context: CommandContext): Promise<void> {
  const { client } = await connect(context, options);
  const answer = await client.get<RequestsAnswer>(`/api/v1/requests?limit=${TRACES_LISTED}`, context);
  if (options.json) return printJson(context, answer);
  const nameOf = await nodeNames(client, context);
  const whole = { title: 'ID', value: ({ requestId }: RequestsAnswer['requests'][number]) => requestId };
  context.stdout.write(table([whole, ...requestColumns(nameOf).slice(1)], answer.requests));
}

async function show(id: string, options: ReadingOptions, context: CommandContext): Promise<void> {
  const { client } = await connect(context, options);
  const answer = await client.get<RequestAnswer>(`/api/v1/requests/${encodeURIComponent(id)}`, context);
  if (options.json) return printJson(context, answer);
  context.stdout.write(traceText(answer, await nodeNames(client, context)));
}

function traceText(answer: RequestAnswer, nameOf: NameOf): string {
  const { requestId, name, model, status, code, durationMs, spans, plans, failures } = answer;
  const outcome = status === 'error' && code !== undefined ? code : status;
  const head = [requestId, name, ...(model === undefined ? [] : [model]), outcome, formatMs(durationMs)].join(' · ');
  const lost = failures.map((failure) => {
    const what = `${nameOf(failure.node)} failed with ${failure.code} after ${formatMs(failure.atMs)}`;
    return `${printable(what)}\n`;
  });
  const plansText = plans.map((plan, at) => {
    const title = plans.length === 1 ? 'plan' : `plan ${at + 1}`;
    return `\n${title}\n${planLines(plan, nameOf)}`;
  });
  const last = plans.at(-1);
  const parts = last?.kind === 'cut' ? `\nparts\n${ranText(last, spans, nameOf)}` : '';
  return [
    `${printable(head)}\n`,
    spans.length === 0 ? '' : `\n${spanTable(spans, nameOf)}`,
    leftText(spans, nameOf),
    ...lost,
    ...plansText,
    parts,
  ].join('');
}
