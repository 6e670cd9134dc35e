// Failures as people read them: what happened, why, what to do. One block, on stderr.
import { WeftError } from '../../protocol/errors.ts';
import { printable } from './format.ts';

/**
 * The block for a failure, its last line ended. A defect, which is anything but a WeftError, shows its own message:
 * whoever sees it is the owner of this machine.
 */
export function describeError(error: unknown): string {
  const cause = error instanceof WeftError ? error.cause : error;
  const message = error instanceof WeftError ? error.message : 'Something failed that should not have.';
  const remedy =
    error instanceof WeftError ? error.remedy : 'Try again; if it stays, report it with the output of this command.';
  const why = reason(cause);
  const requestId = error instanceof WeftError ? error.facts.requestId : undefined;
  const lines = [
    `weft: ${oneLine(message)}`,
    ...(why === undefined || message.includes(why) ? [] : [`  why: ${oneLine(why)}`]),
    `  do:  ${oneLine(remedy)}`,
    ...(requestId === undefined ? [] : [`  id:  ${oneLine(requestId)}`]),
  ];
  return `${lines.join('\n')}\n`;
}

/** A message may come from a peer: it must not look like a line of ours. */
const oneLine = (text: string): string => printable(text.replace(/\s*\n\s*/g, ' '));

/** The innermost message of a chain of causes: there the reason stands. */
function reason(cause: unknown): string | undefined {
  let inner = cause;
  for (let depth = 0; depth < 8 && inner instanceof Error && inner.cause instanceof Error; depth += 1) {
    inner = inner.cause;
  }
  return inner instanceof Error && inner.message !== '' ? inner.message : undefined;
}
