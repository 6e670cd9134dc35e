// The mark of Weft: two warp threads, and one weft thread that goes over the first and under the second.
import type { ReactNode } from 'react';

export function Logo({ className }: { readonly className?: string }): ReactNode {
  return (
    <svg aria-hidden viewBox="0 0 24 24" fill="none" strokeWidth="2.6" strokeLinecap="round" className={className}>
      <path className="stroke-muted" d="M8 3v5.4M8 15.6V21M16 3v18" />
      <path className="stroke-accent" d="M2.5 12h9.8M19.7 12h1.8" />
    </svg>
  );
}
