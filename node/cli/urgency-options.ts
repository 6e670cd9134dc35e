// How soon an answer is wanted: `--deadline` and `--priority` of the commands that send work, as headers of the request.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEADLINE_HEADER, DEADLINE_MS_MAX, PRIORITIES, PRIORITY_HEADER } from '../../protocol/api/urgency.ts';
import { WeftError } from '../../protocol/errors.ts';
import { formatDuration, parseDuration } from '../config/units.ts';
import { formatMs } from './format.ts';

export interface UrgencyOptions {
  /** Milliseconds from the command's request to its whole answer. */
  readonly deadline?: number;
  readonly priority?: (typeof PRIORITIES)[number];
}

/** Gives a command both options. */
export function urgencyOptions(command: Command): Command {
  return command
    .addOption(deadlineOption('give up at once where the whole answer would take longer, such as 500ms or 2s'))
    .addOption(
      new Option('--priority <class>', 'batch: let interactive requests of the mesh go first').choices(PRIORITIES),
    );
}

/** @param summary what the command does with it */
export function deadlineOption(summary: string): Option {
  return new Option('--deadline <time>', summary).argParser(deadlineMs);
}

/**
 * The headers of a request.
 * @param spentMs of the deadline, by earlier requests of the same command
 */
export function urgencyHeaders({ deadline, priority }: UrgencyOptions, spentMs = 0): Readonly<Record<string, string>> {
  return {
    // Where nothing is left it is for the node to say so.
    ...(deadline !== undefined && { [DEADLINE_HEADER]: String(Math.max(1, Math.floor(deadline - spentMs))) }),
    ...(priority !== undefined && { [PRIORITY_HEADER]: priority }),
  };
}

/** A time with its unit, or whole milliseconds, as the API's header has them. */
function deadlineMs(text: string): number {
  const ms = /^\d{1,8}$/.test(text) ? Number(text) : parseDuration(text);
  if (ms !== undefined && ms >= 1 && ms <= DEADLINE_MS_MAX) return ms;
  throw new InvalidArgumentError('Write a time, 24h at most: 500ms, 2s or 1m30s. A number alone is milliseconds.');
}

/**
 * A refusal for want of time, with what to type instead of what to send. Other errors stay as they are.
 * @param retryAfterSeconds when the node may take it
 */
export function inWordsOfOptions(error: WeftError, retryAfterSeconds: number): WeftError {
  const { code, message, facts } = error;
  const quotedMs = Number(facts.quotedMs);
  if (code !== 'deadline_unmeetable' || !(quotedMs > 0)) return error;
  const again = retryAfterSeconds > 0 ? `, or try again in ${formatMs(retryAfterSeconds * 1_000)}` : '';
  const remedy = `Allow more time, as with --deadline ${formatDuration(roomy(quotedMs))}${again}.`;
  return new WeftError({ code, message, remedy, facts }, { cause: error.cause });
}

/** The next time above with two digits: `812` → 820, `12345` → 13000. The next quote is another one. */
function roomy(ms: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(ms)) - 1);
  return Math.ceil(ms / step) * step;
}
