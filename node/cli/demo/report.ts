// The demonstration in tables for people, and as one object for programs. Pure.
import type { RequestAnswer } from '../../../protocol/api/control.ts';
import type { Rejection } from '../../../protocol/plan.ts';
import { explain } from '../../scheduler/explain.ts';
import { type Column, formatMs, orDash, table } from '../format.ts';
import { describeLink } from './cast.ts';
import type { DemoMesh, Machine } from './mesh.ts';
import type { Answered } from './requests.ts';
import type { DemoResult } from './scenario.ts';

type SpanName = RequestAnswer['spans'][number]['name'];

/** The machines: what they offer, and how they are reached. */
export function machineTable(mesh: DemoMesh): string {
  const columns: readonly Column<Machine>[] = [
    { title: 'MACHINE', value: ({ role }) => role.name },
    { title: 'OFFERS', value: ({ role }) => (role.offer === 'none' ? 'nothing' : role.offer) },
    { title: 'LINK', value: ({ role }) => describeLink(role) },
    { title: 'PROCESS', value: ({ daemon }) => String(daemon.pid), align: 'right' },
  ];
  return table(columns, [mesh.edge, ...mesh.workers]);
}

/** Milliseconds that a request spent in a part, over all nodes; undefined where nothing of the kind was noted down. */
function spent({ trace }: Answered, ...names: readonly SpanName[]): number | undefined {
  const spans = trace?.spans.filter(({ name }) => names.includes(name)) ?? [];
  return spans.length === 0 ? undefined : spans.reduce((sum, { durationMs }) => sum + durationMs, 0);
}

const predicted = ({ trace, predictedMs }: Answered): number | undefined =>
  trace?.plans[0]?.price.totalMs ?? predictedMs;

/** The requests: where each ran, and how long each part of it took. */
export function requestTable(mesh: DemoMesh, requests: readonly Answered[]): string {
  const part = (title: string, ...names: readonly SpanName[]): Column<Answered> => ({
    title,
    value: (request) => orDash(spent(request, ...names), formatMs),
    align: 'right',
  });
  const columns: readonly Column<Answered>[] = [
    { title: 'REQUEST', value: ({ what }) => what },
    { title: 'RAN ON', value: ({ nodes }) => nodes.map(mesh.nameOf).join(' → ') },
    part('PREPARE', 'prepare'),
    part('UP', 'up', 'acknowledge'),
    part('QUEUE', 'queue'),
    part('LOAD', 'load'),
    part('COMPUTE', 'compute'),
    part('DOWN', 'down'),
    { title: 'TOTAL', value: ({ totalMs }) => formatMs(totalMs), align: 'right' },
    { title: 'PREDICTED', value: (request) => orDash(predicted(request), formatMs), align: 'right' },
  ];
  return table(columns, requests);
}

/** Requests of one kind, such as four chats at once, that are explained: what holds for two holds for the others. */
const EXPLAINED_OF_A_KIND = 2;

/** Why they ran where they did: the plans that were tried, with what each beat. Empty where the edge keeps no traces. */
export function reasons(mesh: DemoMesh, requests: readonly Answered[]): string {
  const explained = new Map<string, number>();
  const blocks = requests.flatMap(({ what, trace }) => {
    const kind = what.replace(/\d+/, '');
    const before = explained.get(kind) ?? 0;
    explained.set(kind, before + 1);
    if (before >= EXPLAINED_OF_A_KIND) return [];
    return (trace?.plans ?? []).map((plan, at) => {
      const heading = at === 0 ? what : `${what}, after the loss`;
      const lines = [...explain({ ...plan, rejected: [] }, mesh.nameOf), ...rejections(mesh, plan.rejected)];
      return [heading, ...lines.map((line) => `  ${line}`)].join('\n');
    });
  });
  return blocks.length === 0 ? '' : `${blocks.join('\n')}\n`;
}

/** One line for each reason, with all nodes that it holds for. */
function rejections(mesh: DemoMesh, rejected: readonly Rejection[]): string[] {
  const byReason = Map.groupBy(rejected, ({ reason }) => reason);
  return [...byReason].map(
    ([reason, nodes]) => `not ${nodes.map(({ node }) => mesh.nameOf(node)).join(', ')}: ${reason}`,
  );
}

/** What `--json` prints; docs/demo.md has it. */
export function toJson(mesh: DemoMesh, { requests, recovery }: DemoResult, totalMs: number): object {
  return {
    ok: true,
    total_ms: Math.round(totalMs),
    machines: [mesh.edge, ...mesh.workers].map(({ role, daemon }) => ({
      name: role.name,
      node: daemon.node,
      pid: daemon.pid,
      offer: role.offer,
      link: role.link ?? null,
    })),
    requests: requests.map((request) => ({
      what: request.what,
      ran_on: request.nodes.map(mesh.nameOf),
      total_ms: Math.round(request.totalMs),
      predicted_ms: rounded(predicted(request)),
      parts_ms: {
        prepare: rounded(spent(request, 'prepare')),
        up: rounded(spent(request, 'up', 'acknowledge')),
        queue: rounded(spent(request, 'queue')),
        load: rounded(spent(request, 'load')),
        compute: rounded(spent(request, 'compute')),
        down: rounded(spent(request, 'down')),
      },
      why: (request.trace?.plans ?? []).map((plan) => explain(plan, mesh.nameOf)),
    })),
    recovery: {
      killed: recovery.killed,
      continued_by: recovery.continuedBy,
      pause_ms: Math.round(recovery.pauseMs),
      tokens: recovery.tokens,
      same_text: recovery.sameText,
    },
  };
}

const rounded = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms * 100) / 100);
