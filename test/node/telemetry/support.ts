// Fakes at the ports of telemetry, and samples of what it keeps.
import type { Events, EventType } from '../../../node/core/events.ts';
import type { Log, LogFields } from '../../../node/core/log.ts';
import type { Span } from '../../../node/core/trace.ts';
import type { Plan } from '../../../protocol/plan.ts';

export const NODE = '12D3KooWHere';
export const PEER = '12D3KooWThere';

export const PRICE = { queueMs: 1, loadMs: 0, upMs: 2, computeMs: 30, downMs: 2, totalMs: 35 };

/** What every plan has. */
export const BASE = { price: PRICE, others: [], rejected: [] };

export function plan(overrides: Partial<Extract<Plan, { kind: 'remote' }>> = {}): Plan {
  return { ...BASE, kind: 'remote', node: PEER, ...overrides };
}

export function span(name: Span['name'], overrides: Partial<Span> = {}): Span {
  return { name, node: PEER, startMs: 0, durationMs: 5, ...overrides };
}

/** Keeps what is published. */
export class Published implements Pick<Events, 'publish'> {
  readonly all: { type: EventType; data: unknown }[] = [];

  publish(type: EventType, data: unknown): void {
    this.all.push({ type, data });
  }
}

/** Keeps every line, with the fields of its parents. */
export function recordingLog(): Log & { readonly lines: { level: string; fields: LogFields; message: string }[] } {
  const lines: { level: string; fields: LogFields; message: string }[] = [];
  const over = (own: LogFields): Log => {
    const at = (level: string) => (fields: LogFields, message: string) =>
      void lines.push({ level, fields: { ...own, ...fields }, message });
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (more) => over({ ...own, ...more }),
    };
  };
  return { lines, ...over({}) };
}
