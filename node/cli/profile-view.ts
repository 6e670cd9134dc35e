// What `weft show MODEL --profile` prints: what was measured of a model, beside what real requests showed. Pure.
import type { ModelAnswer, ProfileReport } from '../../protocol/api/control.ts';
import { type Column, factSheet, formatMs, orDash, table } from './format.ts';
import { formatRate } from './ps-view.ts';

/** Sizes of which is told what requests showed, where nothing was measured. */
const PROMPT_TOKENS = [32, 256];
const TEXT_TOKENS = [16, 128];

interface FigureRow {
  readonly name: string;
  readonly claim?: string;
  readonly observed?: string;
  readonly offered?: string;
}

interface CurveRow {
  readonly size: number;
  readonly ms: number;
  /** Against one at a time. */
  readonly gain: number | undefined;
}

/** Ends in a line feed. */
export function profileText({ task }: Pick<ModelAnswer, 'task'>, profile: ProfileReport): string {
  const { claim } = profile;
  const curve = curveOf(claim?.batch ?? []);
  return [
    factSheet(factsOf(task, profile)),
    table(FIGURES, task === 'text-generation' ? generatorRows(profile) : graphRows(task, profile)),
    ...(curve.length === 0 ? [] : [table(curveColumns(task), curve)]),
  ].join('\n');
}

function factsOf(task: string, { claim, observed }: ProfileReport): [string, string][] {
  const answers = task === 'text-generation' ? `, ${observed.answers} answers` : '';
  const requests = `${observed.samples} pieces of work${answers}`;
  if (claim === undefined)
    return [
      ['Measured', 'not yet: it is once the model is loaded and idle'],
      ['Requests', requests],
    ];
  const { device, machine, version, measuredAtMs } = claim;
  const at = new Date(measuredAtMs).toISOString().slice(0, 16).replace('T', ' ');
  return [
    ['Device', machine === '' ? device : `${device}, ${machine}`],
    ['Measured', `${at} UTC, by weft ${version}`],
    ['Requests', requests],
    ['Correction', describeCorrection(task, observed)],
  ];
}

/** By what the claim is multiplied. */
function describeCorrection(task: string, { workRatio, decodeRatio }: ProfileReport['observed']): string {
  const times = (ratio: number): string => `× ${ratio.toFixed(2)}`;
  return task === 'text-generation'
    ? `prefill ${times(workRatio)}, decode ${times(decodeRatio)}`
    : `work ${times(workRatio)}`;
}

function generatorRows({ claim, observed, offered }: ProfileReport): FigureRow[] {
  const decode = claim?.decode ?? [];
  return [
    ...workOf(claim, observed, PROMPT_TOKENS).map(({ tokens, ms }) => ({
      name: `prefill of ${tokens} tokens`,
      claim: tokensPerS(tokens, ms),
      ...(observed.samples === 0 ? {} : { observed: tokensPerS(tokens, onLine(observed, tokens)) }),
      offered: tokensPerS(tokens, onLine(offered, tokens)),
    })),
    ...decode.map(({ context, ms }) => ({
      name: `decode behind ${Math.round(context)} tokens`,
      claim: tokensPerS(1, ms),
    })),
    {
      name: 'decode in general',
      ...(observed.decodeMs === 0 ? {} : { observed: tokensPerS(1, observed.decodeMs) }),
      ...(offered.decodeMs === 0 ? {} : { offered: tokensPerS(1, offered.decodeMs) }),
    },
    loadRow({ claim, observed, offered }),
  ];
}

function graphRows(task: string, { claim, observed, offered }: ProfileReport): FigureRow[] {
  const isGraph = task === 'tensor';
  return [
    ...workOf(claim, observed, isGraph ? [1] : TEXT_TOKENS).map(({ tokens, ms }) => ({
      name: isGraph ? 'one run' : `a text of ${tokens} tokens`,
      claim: orDash(ms || undefined, formatMs),
      ...(observed.samples === 0 ? {} : { observed: formatMs(onLine(observed, tokens)) }),
      offered: formatMs(onLine(offered, tokens)),
    })),
    loadRow({ claim, observed, offered }),
  ];
}

function loadRow({ claim, observed, offered }: ProfileReport): FigureRow {
  const seen = (ms: number | undefined): string => orDash(ms || undefined, formatMs);
  return { name: 'load', claim: seen(claim?.loadMs), observed: seen(observed.loadMs), offered: seen(offered.loadMs) };
}

/** What was measured; else what requests showed is told of these sizes. */
function workOf(
  claim: ProfileReport['claim'],
  { samples }: ProfileReport['observed'],
  sizes: readonly number[],
): readonly { readonly tokens: number; readonly ms: number }[] {
  const work = claim?.work ?? [];
  return work.length > 0 || samples === 0 ? work : sizes.map((tokens) => ({ tokens, ms: 0 }));
}

const onLine = (line: { readonly fixedMs: number; readonly perTokenMs: number }, tokens: number): number =>
  line.fixedMs + line.perTokenMs * tokens;

const tokensPerS = (tokens: number, ms: number): string =>
  ms > 0 ? `${formatRate((1_000 * tokens) / ms)} tok/s` : '-';

function curveOf(batch: NonNullable<ProfileReport['claim']>['batch']): CurveRow[] {
  const alone = batch.find(({ size }) => size === 1)?.ms;
  return batch.map(({ size, ms }) => ({ size, ms, gain: alone === undefined ? undefined : (alone * size) / ms }));
}

const FIGURES: readonly Column<FigureRow>[] = [
  { title: 'SPEED', value: ({ name }) => name },
  { title: 'CLAIM', value: ({ claim }) => claim ?? '-', align: 'right' },
  { title: 'OBSERVED', value: ({ observed }) => observed ?? '-', align: 'right' },
  { title: 'OFFERED', value: ({ offered }) => offered ?? '-', align: 'right' },
];

function curveColumns(task: string): readonly Column<CurveRow>[] {
  const isGenerator = task === 'text-generation';
  const rate = isGenerator ? 'TOK/S' : task === 'tensor' ? 'ROWS/S' : 'TEXTS/S';
  return [
    { title: 'AT ONCE', value: ({ size }) => String(size), align: 'right' },
    { title: isGenerator ? 'STEP' : 'RUN', value: ({ ms }) => formatMs(ms), align: 'right' },
    { title: rate, value: ({ size, ms }) => formatRate((1_000 * size) / ms), align: 'right' },
    { title: 'GAIN', value: ({ gain }) => orDash(gain, (times) => `${times.toFixed(1)}×`), align: 'right' },
  ];
}
