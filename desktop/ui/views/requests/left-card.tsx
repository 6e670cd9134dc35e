// What left this node for parts of a graph: the tensors by name, to whom.
import type { ReactNode } from 'react';
import type { RequestAnswer } from '../../../../protocol/api/control.ts';
import { Card } from '../../components/card.tsx';
import { Foreign, NodeName } from '../../components/node-name.tsx';
import type { NodeNames } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { bytes } from '../../text/format.ts';

type Span = RequestAnswer['spans'][number];

/** Spans that tell of tensors; none where nothing left, or whole requests did. */
export const leaving = (spans: readonly Span[]): readonly Span[] =>
  spans.filter(({ tensors = [] }) => tensors.length > 0);

export function LeftCard({ spans, names }: { readonly spans: readonly Span[]; readonly names: NodeNames }): ReactNode {
  const { left } = text.requests;
  const total = spans.reduce(
    (all, { tensors = [] }) => all + tensors.reduce((sum, tensor) => sum + tensor.bytes, 0),
    0,
  );
  return (
    <Card title={left.title} note={`${left.note}, ${left.total(bytes(total))}`}>
      <ul className="flex flex-col gap-3 text-sm">
        {spans.map(({ node, startMs, tensors = [] }) => (
          <li key={`${node} ${startMs}`}>
            <NodeName node={node} name={names.nameOf(node)} />
            <ul className="mt-1 flex flex-col gap-0.5">
              {tensors.map(({ name, bytes: size }) => (
                <li key={name} className="flex items-baseline gap-3 pl-3.5 text-xs">
                  <Foreign className="min-w-0 grow truncate font-mono">{name}</Foreign>
                  <span className="tabular shrink-0 text-muted">{bytes(size)}</span>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </Card>
  );
}
