// The members of the mesh, and how one of them is taken out.
import { UserX } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import type { MembersAnswer } from '../../../../protocol/api/control.ts';
import { Badge, StateDot } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { type Column, Table } from '../../components/table.tsx';
import { useMembers, usePeers, useStatus } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { safeName, shortId } from '../../text/format.ts';
import { STATE_TONES } from '../nodes/node-table.tsx';
import { RevokeDialog } from './revoke-dialog.tsx';

export type Member = MembersAnswer['members'][number];

export function MembersCard(): ReactNode {
  const { data, error, refetch } = useMembers();
  const status = useStatus().data;
  const peers = usePeers().data?.peers ?? [];
  const [revoking, setRevoking] = useState<Member>();
  const isAdmin = status?.role === 'admin';
  const columns: readonly Column<Member>[] = [
    {
      key: 'name',
      title: text.access.memberColumns.name,
      grow: true,
      cell: ({ node, name }) => (
        <Link
          href={`/nodes/${encodeURIComponent(node)}`}
          className="inline-flex max-w-full rounded-sm hover:underline hover:underline-offset-2"
        >
          <NodeName node={node} name={name} self={node === status?.node} />
        </Link>
      ),
    },
    {
      key: 'state',
      title: text.access.memberColumns.state,
      wide: true,
      cell: ({ node }) => {
        const state = node === status?.node ? 'connected' : peers.find((peer) => peer.node === node)?.state;
        return state === undefined ? (
          <span className="text-faint">–</span>
        ) : (
          <StateDot tone={STATE_TONES[state]}>{text.nodes.states[state]}</StateDot>
        );
      },
    },
    {
      key: 'role',
      title: text.access.memberColumns.role,
      cell: ({ role }) => (
        <span title={text.access.roleTips[role]}>
          <Badge tone={role === 'admin' ? 'accent' : 'neutral'}>{text.access.roles[role] ?? safeName(role)}</Badge>
        </span>
      ),
    },
    {
      key: 'id',
      title: text.access.memberColumns.id,
      wide: true,
      cell: ({ node }) => <code className="font-mono text-muted text-xs">{shortId(node)}</code>,
    },
    ...(isAdmin
      ? [
          {
            key: 'revoke',
            title: '',
            align: 'end' as const,
            cell: (member: Member) =>
              member.node === status.node ? null : (
                <Button
                  size="small"
                  kind="danger"
                  aria-label={text.access.revokeOf(safeName(member.name))}
                  onClick={() => setRevoking(member)}
                >
                  <UserX aria-hidden className="sm:hidden" />
                  <span className="max-sm:hidden">{text.access.revoke}</span>
                </Button>
              ),
          },
        ]
      : []),
  ];
  return (
    <Card
      title={text.access.members}
      note={data === undefined ? undefined : text.access.membersNote(data.members.length)}
      flush
    >
      {data === undefined ? (
        <div className="p-4">
          {error === null ? <Skeleton /> : <Failed error={error} onRetry={() => void refetch()} />}
        </div>
      ) : (
        <Table label={text.access.members} columns={columns} rows={data.members} rowKey={({ node }) => node} />
      )}
      {revoking !== undefined && data !== undefined && (
        <RevokeDialog member={revoking} members={data.members} onClose={() => setRevoking(undefined)} />
      )}
    </Card>
  );
}
