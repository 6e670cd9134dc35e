// Why a node can't be managed from here, and what to do instead.
import { Lock, Unplug } from 'lucide-react';
import type { ReactNode } from 'react';
import { text } from '../../text/en.ts';

export function NotManaged({ why }: { readonly why: keyof typeof text.nodes.whyNot }): ReactNode {
  const { why: reason, todo } = text.nodes.whyNot[why];
  const Icon = why === 'away' ? Unplug : Lock;
  return (
    <section data-not-managed={why} className="mb-4 flex gap-3 rounded-lg border border-line bg-panel px-4 py-3">
      <Icon aria-hidden className="mt-0.5 size-4 shrink-0 text-muted" />
      <div className="min-w-0 text-sm">
        <h2 className="font-medium">{why === 'away' ? text.nodes.stateTips.gone : text.nodes.manageTitle}</h2>
        <p className="text-muted">{reason}</p>
        <p className="mt-1">{todo}</p>
      </div>
    </section>
  );
}
