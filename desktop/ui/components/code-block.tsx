// A command or a piece of code to copy. Plain text: highlighting is for those views that bring it.
import type { ReactNode } from 'react';
import { text } from '../text/en.ts';
import { CopyButton } from './copy-button.tsx';

export interface CodeBlockProps {
  readonly code: string;
  /** What is copied, such as "Copy the command". */
  readonly copyLabel?: string;
  /** In front of the code, such as `$`; not copied. */
  readonly prompt?: string;
  /** What the code is, for those who can't see it. */
  readonly label?: string;
}

export function CodeBlock({ code, copyLabel, prompt, label = text.common.code }: CodeBlockProps): ReactNode {
  return (
    <div className="flex min-w-0 items-start rounded-md border border-line bg-sunken">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long lines are scrolled by keyboard, too */}
      <section aria-label={label} tabIndex={0} className="min-w-0 grow overflow-x-auto px-3 py-2">
        <pre className="font-mono text-[0.8125rem] leading-5">
          {prompt !== undefined && (
            <span aria-hidden className="select-none pr-2 text-faint">
              {prompt}
            </span>
          )}
          <code>{code}</code>
        </pre>
      </section>
      <div className="p-1">
        <CopyButton value={code} {...(copyLabel === undefined ? {} : { label: copyLabel })} />
      </div>
    </div>
  );
}
