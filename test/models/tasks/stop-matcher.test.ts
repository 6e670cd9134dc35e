import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopMatcher } from '../../../models/tasks/stop-matcher.ts';
import { runs } from '../../support/property.ts';

interface Outcome {
  readonly text: string;
  readonly stopped: boolean;
}

/** The definition: the stop string that ends first, of those the longest, and the text before it. */
function naive(text: string, stops: readonly string[]): Outcome {
  for (let end = 1; end <= text.length; end++) {
    const lengths = stops.filter((stop) => stop !== '' && text.slice(0, end).endsWith(stop)).map((stop) => stop.length);
    if (lengths.length > 0) return { text: text.slice(0, end - Math.max(...lengths)), stopped: true };
  }
  return { text, stopped: false };
}

function run(parts: readonly string[], stops: readonly string[]): Outcome {
  const matcher = new StopMatcher(stops);
  let text = '';
  let stopped = false;
  for (const part of parts) {
    const step = matcher.push(part);
    text += step.text;
    stopped = step.stopped;
  }
  return { text: text + matcher.flush(), stopped };
}

/** Text of few characters, so that stop strings and their beginnings come often. */
const text = (maxLength: number) =>
  fc
    .array(fc.constantFrom('a', 'b', 'a', 'b', '😀', '😁', '\n'), { maxLength })
    .map((characters) => characters.join(''));

describe('stop strings', () => {
  it('end the answer where the definition says, however the text is parted', () => {
    fc.assert(
      fc.property(fc.array(text(6), { maxLength: 12 }), fc.array(text(5), { maxLength: 4 }), (parts, stops) => {
        expect(run(parts, stops)).toEqual(naive(parts.join(''), stops));
      }),
      runs(3_000),
    );
  });

  it('never show text that turns out to belong to one, and hold nothing else back', () => {
    fc.assert(
      fc.property(text(30), fc.array(text(5), { minLength: 1, maxLength: 4 }), (all, stops) => {
        const matcher = new StopMatcher(stops);
        let shown = '';
        let pushed = '';
        for (const character of all) {
          const step = matcher.push(character);
          pushed += character;
          shown += step.text;
          if (step.stopped) break;
          const held = pushed.slice(shown.length);
          expect(pushed.startsWith(shown)).toBe(true);
          expect(held === '' || stops.some((stop) => stop !== held && stop.startsWith(held))).toBe(true);
        }
        expect(naive(all, stops).text.startsWith(shown)).toBe(true);
      }),
      runs(2_000),
    );
  });

  it('are found across pieces, and the rest is ignored', () => {
    const matcher = new StopMatcher(['\n\nUser:']);
    expect(matcher.push('Hello.\n')).toEqual({ text: 'Hello.', stopped: false });
    expect(matcher.push('\nUs')).toEqual({ text: '', stopped: false });
    expect(matcher.push('er: more')).toEqual({ text: '', stopped: true });
    expect(matcher.push('more')).toEqual({ text: '', stopped: true });
    expect(matcher.flush()).toBe('');
  });

  it('give back what was held for nothing', () => {
    const matcher = new StopMatcher(['END']);
    expect(matcher.push('the EN')).toEqual({ text: 'the ', stopped: false });
    expect(matcher.push('D of')).toEqual({ text: '', stopped: true });
    const other = new StopMatcher(['END']);
    other.push('the EN');
    expect(other.flush()).toBe('EN');
  });

  it('begin anew behind a text that has ended', () => {
    const matcher = new StopMatcher(['ab']);
    matcher.push('a');
    expect(matcher.flush()).toBe('a');
    expect(matcher.push('b')).toEqual({ text: 'b', stopped: false });
    expect(matcher.push('ab')).toEqual({ text: '', stopped: true });
  });

  it('prefer the longest of those that end together', () => {
    expect(run(['xabc'], ['bc', 'abc', 'c'])).toEqual({ text: 'x', stopped: true });
    expect(run(['xabcd'], ['abcd', 'bc'])).toEqual({ text: 'xa', stopped: true });
  });

  it('never part a character: half of one is no stop string', () => {
    expect(run(['a😀b'], ['\ud83d', '\ude00'])).toEqual({ text: 'a😀b', stopped: false });
    expect(run(['a😀b'], ['😀'])).toEqual({ text: 'a', stopped: true });
  });

  it('take time in proportion to the text', () => {
    const startMs = performance.now();
    expect(run(Array(200_000).fill('a'), [`${'a'.repeat(500)}b`]).stopped).toBe(false);
    expect(performance.now() - startMs).toBeLessThan(5_000);
  });
});
