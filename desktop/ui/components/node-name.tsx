// Names of nodes and members, wherever they stand: always with the same colour, safe whatever they contain, and a mark on this node.
import type { CSSProperties, ReactNode } from 'react';
import { text } from '../text/en.ts';
import { nodeHue, safeName } from '../text/format.ts';
import { classes } from './class-names.ts';

/** The colour of a node for elements with the classes bg-node, text-node and border-node. */
export const nodeColour = (id: string): CSSProperties => ({ '--node-hue': nodeHue(id) }) as CSSProperties;

export interface NodeNameProps {
  /** Node id. */
  readonly node: string;
  readonly name: string;
  /** It is the node behind this page. */
  readonly self?: boolean;
  readonly className?: string;
}

export function NodeName({ node, name, self = false, className }: NodeNameProps): ReactNode {
  return (
    <span
      className={classes('inline-flex min-w-0 max-w-full items-center gap-1.5', className)}
      style={nodeColour(node)}
    >
      <span aria-hidden className="size-2 shrink-0 rounded-[2px] bg-node" />
      <bdi className="truncate">{safeName(name)}</bdi>
      {self && <span className="shrink-0 font-normal text-faint text-xs">{text.common.thisNode}</span>}
    </span>
  );
}

/** A text that somebody else chose, cut where there is no room. */
export function Foreign({
  children,
  className,
}: {
  readonly children: string;
  readonly className?: string;
}): ReactNode {
  return <bdi className={className}>{safeName(children)}</bdi>;
}
