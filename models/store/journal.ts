// Which chunks of a begun file are here. A first line says what the file is to be, and is replaced as a whole; then a
// line is appended for each chunk once it has been written, by the thread that wrote it.
//
// A killed process loses nothing that it had written: the disk's cache is the system's. So at most the chunk whose line
// was not appended yet comes again. A machine that loses power may keep the lines and lose the chunks: a line `s` says
// how many of the lines before it are of chunks that had been waited for, and whatever was written after the last one is
// hashed when the file is opened (at most SYNC_BYTES and what was under way). Waiting for the disk at every chunk
// instead would halve the speed of a pull.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { CHECK_DIGITS } from './disk-thread.ts';

/** What a begun file is to be. */
export interface JournalHead {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  /** Undefined while nobody has said them. */
  readonly digests: readonly string[] | undefined;
}

export interface Journal extends JournalHead {
  /** Digests of the chunks that are said to be here. */
  readonly chunks: ReadonlyMap<number, string>;
  /** Of them, those that a loss of power may have taken. */
  readonly unsure: ReadonlySet<number>;
}

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const Head = z.strictObject({
  version: z.literal(1),
  sha256: Sha256,
  sizeBytes: z.number().int().nonnegative(),
  chunkBytes: z.number().int().positive(),
  digests: z.array(Sha256).optional(),
});

const CHUNK = /^c (\d{1,9}) ([0-9a-f]{64})$/;
const SYNCED = /^s (\d{1,9})$/;

const checkOf = (line: string): string => createHash('sha256').update(line).digest('hex').slice(0, CHECK_DIGITS);

/** The line by which chunks count as safe: the first `count` lines of chunks in this journal. */
export const syncedLine = (count: number): string => `s ${count}`;

/** A new journal, all of whose chunks are on the disk for good. */
export function writeJournal(head: JournalHead, chunks: ReadonlyMap<number, string>): string {
  const lines = [
    JSON.stringify({ version: 1, ...head }),
    ...[...chunks].map(([index, sha256]) => `c ${index} ${sha256}`),
  ];
  return [...lines, syncedLine(chunks.size)].map((line) => `${line} ${checkOf(line)}\n`).join('');
}

/** Reads a journal. A line that is torn or altered counts for nothing. @returns undefined when the first line is one */
export function readJournal(text: string): Journal | undefined {
  const [first = '', ...rest] = text.split('\n').filter((line) => line !== '');
  const head = parseHead(checked(first) ?? '');
  if (head === undefined) return undefined;
  const lines = rest.map(checked);
  const chunks = new Map<number, string>();
  const order: number[] = [];
  let synced = 0;
  for (const line of lines) {
    if (line === undefined) continue;
    const chunk = CHUNK.exec(line);
    const index = Number(chunk?.[1]);
    if (chunk?.[2] !== undefined && index * head.chunkBytes < head.sizeBytes) {
      chunks.set(index, chunk[2]);
      order.push(index);
    }
    synced = Math.max(synced, Number(SYNCED.exec(line)?.[1] ?? 0));
  }
  // The lines no longer count as they did.
  if (lines.includes(undefined)) synced = 0;
  return { ...head, chunks, unsure: new Set(order.slice(synced)) };
}

function parseHead(line: string): JournalHead | undefined {
  try {
    const { version: _, ...head } = Head.parse(JSON.parse(line));
    return { ...head, digests: head.digests };
  } catch {
    return undefined;
  }
}

/** A line without its check; undefined when that is wrong. */
function checked(line: string): string | undefined {
  const text = line.slice(0, -CHECK_DIGITS - 1);
  return line === `${text} ${checkOf(text)}` ? text : undefined;
}
