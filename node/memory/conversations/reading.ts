// An answer read piece by piece, at the reader's pace: what came meanwhile comes in one piece, and nothing is kept for it.
import type { AnswerPiece, Message } from '../../core/conversations.ts';
import { PIECE_LENGTH_MAX } from './limits.ts';

/** What an answer is read from. */
export interface Source {
  readonly message: Message;
  changed(): Promise<void>;
}

/**
 * The text behind its first `from` characters, and at last the message.
 * @throws the signal's reason when that aborts
 */
export async function* pieces(
  source: Source,
  { from, signal }: { readonly from: number; readonly signal: AbortSignal },
): AsyncGenerator<AnswerPiece | Message> {
  for (let at = from; ; ) {
    signal.throwIfAborted();
    const changed = source.changed();
    const { content, state } = source.message;
    const text = content.slice(at, at + PIECE_LENGTH_MAX);
    if (text !== '') {
      yield { at, text };
      at += text.length;
    } else if (state === 'streaming') {
      await orAborted(changed, signal);
    } else {
      yield source.message;
      return;
    }
  }
}

/** @throws the signal's reason when that aborts first */
async function orAborted(wait: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  void wait.then(resolve);
  await promise.finally(() => signal.removeEventListener('abort', onAbort));
}
