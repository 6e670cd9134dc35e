// W3C Trace Context (https://www.w3.org/TR/trace-context/): the traceparent header, read strictly and made.
import type { Random } from '../core/clock.ts';

/** What a traceparent says. */
export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  /** The caller records it: whoever honours the choice of the caller does the same. */
  readonly sampled: boolean;
}

const TRACE_PARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Reads a header of version 00. Undefined for anything else: a wrong length, upper-case digits, ids of nothing but zeros. */
export function parseTraceParent(header: string | undefined): TraceContext | undefined {
  const [, traceId, spanId, flags] = TRACE_PARENT.exec(header ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** The header. */
export function formatTraceParent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** A span of its own: a child of the parent where there is one, else the root of a new trace. */
export function newTraceContext(random: Random, parent: TraceContext | undefined): TraceContext {
  const hex = Buffer.from(random.bytes(24)).toString('hex');
  return {
    traceId: parent?.traceId ?? nonZero(hex.slice(0, 32)),
    spanId: nonZero(hex.slice(32)),
    sampled: parent?.sampled ?? true,
  };
}

function nonZero(digits: string): string {
  return /[^0]/.test(digits) ? digits : `${digits.slice(1)}1`;
}
