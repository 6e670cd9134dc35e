// A mesh of one node: how another one comes into it.
import type { ReactNode } from 'react';
import { useLocation } from 'wouter';
import { Button } from '../../components/button.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { text } from '../../text/en.ts';

const words = text.overview;

export function MeshOfOne(): ReactNode {
  const [, navigate] = useLocation();
  const [install, invite, join] = words.aloneSteps;
  return (
    <div className="grid gap-8 p-5 sm:p-8 lg:grid-cols-[minmax(0,22rem)_minmax(0,30rem)] lg:items-center lg:justify-center">
      <div>
        <h3 className="font-semibold text-base">{words.aloneTitle}</h3>
        <p className="mt-1 text-muted">{words.aloneHow}</p>
        <Button kind="primary" className="mt-4" onClick={() => navigate('/access')}>
          {words.invite}
        </Button>
      </div>
      <ol className="flex flex-col gap-3 border-line lg:border-l lg:pl-8">
        <Step at={1}>{install}</Step>
        <Step at={2}>
          {invite}
          <CodeBlock prompt="$" code="weft invite" />
        </Step>
        <Step at={3}>
          {join}
          <CodeBlock prompt="$" code="weft join TICKET" />
        </Step>
      </ol>
    </div>
  );
}

const Step = ({ at, children }: { readonly at: number; readonly children: ReactNode }): ReactNode => (
  <li className="flex gap-3">
    <span aria-hidden className="tabular w-3 shrink-0 text-faint">
      {at}
    </span>
    <div className="flex min-w-0 grow flex-col gap-1.5">{children}</div>
  </li>
);
