// Figures as text: bytes, durations, times, counts, and names that others chose. Pure; the same in every view.

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Such as `0 B`, `640 KB`, `1.5 GB`: powers of 1000, as disks and downloads are told elsewhere. */
export function bytes(value: number): string {
  let rest = Math.max(0, value);
  let unit = 0;
  while (rest >= 999.5 && unit < UNITS.length - 1) {
    rest /= 1_000;
    unit += 1;
  }
  const digits = unit === 0 || rest >= 99.5 ? 0 : rest >= 9.95 ? 1 : 2;
  return `${trimmed(rest.toFixed(digits))} ${UNITS[unit]}`;
}

/** Memory of machines, such as `24 GiB`: powers of 1024, as it is built and as the settings take it. */
export function memory(value: number): string {
  if (value === 0) return '0';
  const [unit, size] = value >= 2 ** 30 ? ['GiB', 2 ** 30] : ['MiB', 2 ** 20];
  const rest = Math.max(0, value) / size;
  return `${trimmed(rest.toFixed(rest < 9.95 && unit === 'GiB' ? 1 : 0))} ${unit}`;
}

/** Such as `12.5 MB/s`. */
export const rate = (bytesPerSecond: number): string => `${bytes(bytesPerSecond)}/s`;

/** Such as `0.4 ms`, `85 ms`, `1.24 s`, `2 min 5 s`, `3 h 20 min`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return '∞';
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms < 9.95) return `${trimmed(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9_995) return `${trimmed((ms / 1_000).toFixed(2))} s`;
  if (ms < 59_950) return `${trimmed((ms / 1_000).toFixed(1))} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 1_440) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(minutes / 60);
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

/** How long ago, or how long until: `just now`, `40 s ago`, `in 3 h`. */
export function ago(atMs: number, nowMs: number): string {
  const ms = nowMs - atMs;
  if (Math.abs(ms) < 5_000) return 'just now';
  const text = coarse(Math.abs(ms));
  return ms > 0 ? `${text} ago` : `in ${text}`;
}

/** Such as `950`, `12,480`, `1.2 million`. */
export function count(value: number): string {
  return Math.abs(value) >= 1e6
    ? `${trimmed((value / 1e6).toFixed(1))} million`
    : Math.round(value).toLocaleString('en-GB');
}

/** Such as `1 node`, `3 nodes`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Such as `14:03:22`, with the day where it is another one. */
export function clockTime(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const time = at.toLocaleTimeString('en-GB');
  return at.toDateString() === new Date(nowMs).toDateString()
    ? time
    : `${at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })}, ${time}`;
}

/** A share of 1 as `42 %`. */
export const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** The start of a long id, enough to tell nodes apart. Ids of nodes begin alike: their end is what differs. */
export const shortId = (id: string): string => (id.length <= 12 ? id : `…${id.slice(-8)}`);

/** The part of a hub id that people say: `owner/name` → `name`. */
export const shortModel = (id: string): string => id.slice(id.lastIndexOf('/') + 1);

/** Names that are longer are cut: they come from others. */
const NAME_CHARS_MAX = 80;

/**
 * A name that somebody else chose, safe to show: control characters, overrides of the writing direction and other invisible ones become
 * visible, and it has an end. An empty one is called "(no name)".
 */
export function safeName(name: string): string {
  const visible = name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '\u{FFFD}').trim();
  const characters = [...visible];
  if (characters.length === 0) return '(no name)';
  return characters.length > NAME_CHARS_MAX ? `${characters.slice(0, NAME_CHARS_MAX - 1).join('')}…` : visible;
}

/** Text of others that stays as long as it is (log lines, model cards): only what could turn the writing around becomes visible. */
export function safeText(text: string): string {
  return text.replace(/[\u{202A}-\u{202E}\u{2066}-\u{2069}\u{200E}\u{200F}\u{061C}]|[^\P{Cc}\n\t]/gu, '\u{FFFD}');
}

/** 0 to 359: the hue of a node, the same wherever it is shown. */
export function nodeHue(id: string): number {
  let hash = 2_166_136_261;
  for (let at = 0; at < id.length; at += 1) hash = Math.imul(hash ^ id.charCodeAt(at), 16_777_619);
  // Steps of 15 degrees can be told apart; fewer would collide in meshes of some nodes.
  return ((hash >>> 8) % 24) * 15;
}

function coarse(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${Math.round(ms / 3_600_000)} h`;
  return plural(Math.round(ms / 86_400_000), 'day');
}

const pair = (big: number, bigUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;

const trimmed = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
