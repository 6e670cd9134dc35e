// A yes or a no from the person at the terminal, before something that can't be taken back.
import { createInterface } from 'node:readline';
import type { CommandContext } from './context.ts';

/** Asks; anything but y or yes, the end of the input included, is a no. Only for a stdin that is a terminal. */
export function confirm({ stdin, stderr, signal }: CommandContext, question: string): Promise<boolean> {
  return new Promise((resolve) => {
    const lines = createInterface({ input: stdin, output: stderr, terminal: true, historySize: 0 });
    let answer = false;
    const leave = () => lines.close();
    signal.addEventListener('abort', leave, { once: true });
    lines
      .on('line', (line) => {
        answer = /^\s*y(es)?\s*$/i.test(line);
        lines.close();
      })
      .on('SIGINT', leave)
      .on('close', () => {
        signal.removeEventListener('abort', leave);
        resolve(answer);
      });
    lines.setPrompt(`${question} [y/N] `);
    lines.prompt();
    if (signal.aborted) leave();
  });
}
