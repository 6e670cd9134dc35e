// traceparent headers, as they come and as they are made.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { formatTraceParent, newTraceContext, parseTraceParent } from '../../../node/telemetry/trace-context.ts';
import { runs } from '../../support/property.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('a traceparent', () => {
  it('of version 00 is read', () => {
    expect(parseTraceParent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, sampled: true });
    expect(parseTraceParent(`00-${TRACE}-${SPAN}-00`)?.sampled).toBe(false);
    // Flags that are not known yet are passed over.
    expect(parseTraceParent(`00-${TRACE}-${SPAN}-ff`)?.sampled).toBe(true);
    expect(parseTraceParent(`00-${TRACE}-${SPAN}-fe`)?.sampled).toBe(false);
  });

  it.each([
    ['none', undefined],
    ['an empty one', ''],
    ['another version', `01-${TRACE}-${SPAN}-01`],
    ['the forbidden version', `ff-${TRACE}-${SPAN}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['a short trace id', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['a long span id', `00-${TRACE}-${SPAN}0-01`],
    ['no flags', `00-${TRACE}-${SPAN}`],
    ['something behind it', `00-${TRACE}-${SPAN}-01-x`],
    ['a line feed behind it', `00-${TRACE}-${SPAN}-01\n`],
    ['two of them', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
    ['spaces around it', ` 00-${TRACE}-${SPAN}-01 `],
  ])('is none: %s', (_what, header) => {
    expect(parseTraceParent(header)).toBeUndefined();
  });

  it('is read as it was written, and nothing else is read at all', () => {
    const hex = (length: number) =>
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
    fc.assert(
      fc.property(hex(32), hex(16), fc.boolean(), fc.string(), (traceId, spanId, sampled, junk) => {
        const header = formatTraceParent({ traceId, spanId, sampled });
        const valid = /[^0]/.test(traceId) && /[^0]/.test(spanId);
        expect(parseTraceParent(header)).toEqual(valid ? { traceId, spanId, sampled } : undefined);
        expect(parseTraceParent(junk)).toBeUndefined();
        expect(parseTraceParent(header + junk) === undefined).toBe(junk !== '' || !valid);
      }),
      runs(200),
    );
  });
});

describe('a span', () => {
  it("stays in its parent's trace, with an id of its own and the parent's choice", () => {
    const parent = { traceId: TRACE, spanId: SPAN, sampled: false };
    const child = newTraceContext(systemRandom, parent);
    expect(child).toMatchObject({ traceId: TRACE, sampled: false });
    expect(child.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(child.spanId).not.toBe(SPAN);
  });

  it('without a parent begins a trace that is valid, whatever chance gives', () => {
    const zeros = newTraceContext({ next: () => 0, bytes: (length) => new Uint8Array(length) }, undefined);
    expect(parseTraceParent(formatTraceParent(zeros))).toEqual({ ...zeros, sampled: true });
    expect(newTraceContext(systemRandom, undefined).traceId).not.toBe(newTraceContext(systemRandom, undefined).traceId);
  });
});
