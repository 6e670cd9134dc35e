// Durations and sizes as people write them.

const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const SIZE_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/**
 * Milliseconds of "500ms", "2s", "1.5m", "1h30m" or "0"; undefined for anything else. A bare number has no unit, and is
 * refused: some programs mean seconds by it, others milliseconds.
 */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim().toLowerCase();
  if (trimmed === '0') return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(trimmed)) return undefined;
  let sum = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    sum += Number(amount) * (DURATION_MS[unit ?? ''] ?? Number.NaN);
  }
  const rounded = Math.round(sum);
  return Number.isSafeInteger(rounded) ? rounded : undefined;
}

/** Bytes of "4GiB", "512 MiB", "1.5GB" or "1048576"; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]i?b|b)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const bytes = Math.round(Number(match[1]) * (SIZE_BYTES[match[2]?.toLowerCase() ?? 'b'] ?? Number.NaN));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest way to write a duration that {@link parseDuration} reads back: `90000` → "1m30s". */
export function formatDuration(ms: number): string {
  let rest = ms;
  let text = '';
  for (const [unit, length] of Object.entries(DURATION_MS).reverse()) {
    const count = Math.floor(rest / length);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * length;
  }
  return text || '0';
}

/** A size that {@link parseSize} reads back, in the largest unit of 1024 in which it is whole: "4GiB", "1500". */
export function formatSize(bytes: number): string {
  const unit = (['TiB', 'GiB', 'MiB', 'KiB'] as const).find(
    (name) => bytes > 0 && bytes % (SIZE_BYTES[name.toLowerCase()] ?? Number.NaN) === 0,
  );
  return unit === undefined ? String(bytes) : `${bytes / (SIZE_BYTES[unit.toLowerCase()] ?? 1)}${unit}`;
}
