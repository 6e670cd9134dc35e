// Which editor a setting gets, from what the node says of it (`expected`), and its value as that editor holds it. Pure: a setting
// that a newer node adds gets the editor that its words fit, or a line of text.
import type { ConfigAnswer } from '../../../../protocol/api/control.ts';

export type Setting = ConfigAnswer['settings'][number];

export type Editor =
  | { readonly kind: 'switch' }
  | { readonly kind: 'number'; readonly min: number; readonly max: number }
  /** An amount with a unit, or one of a few words. */
  | {
      readonly kind: 'amount';
      readonly of: 'size' | 'duration';
      readonly units: readonly string[];
      /** Values that stand for no amount: `none`, `0`, `-1`. */
      readonly words: readonly string[];
    }
  | { readonly kind: 'choice'; readonly values: readonly string[] }
  /** Names, and words that stand for some of them. */
  | { readonly kind: 'list'; readonly words: readonly string[] }
  /** Any of a few words. */
  | { readonly kind: 'set'; readonly words: readonly string[] }
  | { readonly kind: 'text'; readonly suggestions: readonly string[] };

export const TIME_UNITS = ['ms', 's', 'm', 'h', 'd'] as const;
export const SIZE_UNITS = ['MiB', 'GiB', 'TiB', 'MB', 'GB', 'TB'] as const;

/** @param expected what the node would have, in words */
export function editorOf({ expected }: Pick<Setting, 'expected'>): Editor {
  if (expected === 'true or false') return { kind: 'switch' };
  const range = /^a whole number from (\d+) to (\d+)$/.exec(expected);
  if (range !== null) return { kind: 'number', min: Number(range[1]), max: Number(range[2]) };
  if (/^a size\b/.test(expected)) {
    const words = /\bor none$/.test(expected) ? ['none'] : [];
    return { kind: 'amount', of: 'size', units: SIZE_UNITS, words };
  }
  if (/^a duration\b/.test(expected)) {
    const words = [...(/\b0 for none\b/.test(expected) ? ['0'] : []), ...(/-1 for ever/.test(expected) ? ['-1'] : [])];
    return { kind: 'amount', of: 'duration', units: TIME_UNITS, words };
  }
  const set = /^([a-z]+(?:, [a-z]+)*), or both separated by a comma; or ([a-z]+)$/.exec(expected);
  if (set !== null) return { kind: 'set', words: [...(set[1] ?? '').split(', '), set[2] ?? ''] };
  if (/separated by (commas|a comma)/.test(expected)) {
    return { kind: 'list', words: [...expected.matchAll(/"([^"]+)"/g)].map(([, word]) => word ?? '') };
  }
  // Before the text: "auto, cpu or cuda, or one of several, such as cuda:1" is more than a choice.
  const choice = /^([a-z]+(?:, [a-z]+)*) or ([a-z]+)(,.*)?$/.exec(expected);
  if (choice !== null) {
    const values = [...(choice[1] ?? '').split(', '), choice[2] ?? ''];
    return choice[3] === undefined ? { kind: 'choice', values } : { kind: 'text', suggestions: values };
  }
  return { kind: 'text', suggestions: [] };
}

export interface Amount {
  readonly number: string;
  readonly unit: string;
}

/** `90s`, `4GiB`; undefined for what is no single amount, such as `1h30m`, or one of the words. */
export function parseAmount(value: unknown, units: readonly string[]): Amount | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(String(value ?? ''));
  if (match === null) return undefined;
  const unit = units.find((each) => each.toLowerCase() === match[2]?.toLowerCase());
  return unit === undefined ? undefined : { number: match[1] ?? '', unit };
}

export const formatAmount = ({ number, unit }: Amount): string => `${number.trim()}${unit}`;

/** A setting's value as a list, whatever it is written as. */
export function listOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.map(String);
  return value === null || value === undefined || value === ''
    ? []
    : String(value)
        .split(',')
        .map((item) => item.trim());
}

/** Words that stand alone: with another one beside them they would mean nothing. */
const ALONE: readonly string[] = ['all', 'none', 'any', 'members'];

/** A list with one more in it; the same list where that is nothing, or there already. */
export function withItem(items: readonly string[], item: string): readonly string[] {
  const wanted = item.trim();
  if (wanted === '' || items.includes(wanted)) return items;
  return ALONE.includes(wanted) ? [wanted] : [...items.filter((each) => !ALONE.includes(each)), wanted];
}

/** What the file says, or would say at the next start: what an editor shows. */
export const comingValue = (setting: Setting): unknown => ('pending' in setting ? setting.pending : setting.value);

export const isPending = (setting: Setting): boolean => 'pending' in setting;

/** Why a setting can't be changed here; undefined where it can. */
export function fixedBy(
  { name, source, local }: Pick<Setting, 'name' | 'source' | 'local'>,
  remote: boolean,
): 'flag' | 'environment' | 'local' | 'secret' | undefined {
  if (SECRETS.includes(name)) return 'secret';
  if (remote && local === true) return 'local';
  return source === 'flag' || source === 'environment' ? source : undefined;
}

/** They are in no file, and never shown. */
const SECRETS: readonly string[] = ['apiKey', 'hubToken'];

/** A value in words. */
export function valueText(
  value: unknown,
  words: { readonly on: string; readonly off: string; readonly none: string },
): string {
  if (typeof value === 'boolean') return value ? words.on : words.off;
  if (Array.isArray(value)) return value.length === 0 ? words.none : value.join(', ');
  return value === null || value === undefined || value === '' ? words.none : String(value);
}
