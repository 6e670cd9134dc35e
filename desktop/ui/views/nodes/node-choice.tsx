// Which node a view looks at: the one behind the page, or one that may be managed from it.
import type { ReactNode } from 'react';
import { Select } from '../../components/field.tsx';
import { usePeers, useStatus } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { safeName } from '../../text/format.ts';

/** From an address: undefined for the node behind the page, whichever way it is named. */
export function useChosenNode(id: string | undefined): string | undefined {
  const self = useStatus().data?.node;
  return id === undefined || id === self ? undefined : id;
}

export interface NodeChoiceProps {
  readonly label: string;
  readonly node: string | undefined;
  readonly onChange: (node: string | undefined) => void;
}

/** Nothing where there is no choice. */
export function NodeChoice({ label, node, onChange }: NodeChoiceProps): ReactNode {
  const self = useStatus().data;
  const peers = usePeers().data?.peers ?? [];
  const others = peers.filter((peer) => peer.manageable === true || peer.node === node);
  if (self === undefined || others.length === 0) return null;
  return (
    <Select
      aria-label={label}
      className="w-52 max-w-full"
      value={node ?? self.node}
      onChange={(next) => onChange(next === self.node ? undefined : next)}
      options={[
        { value: self.node, label: `${safeName(self.name)} (${text.common.thisNode})` },
        ...others.map((peer) => ({
          value: peer.node,
          label:
            peer.state === 'connected'
              ? safeName(peer.name)
              : `${safeName(peer.name)} (${text.nodes.states[peer.state].toLowerCase()})`,
        })),
      ]}
    />
  );
}
