// Inviting a machine: an invitation with its time, in every form in which it is passed on, until somebody has used it.
import { useQueryClient } from '@tanstack/react-query';
import { Check, Clock, UserPlus } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import type { InvitationAnswer } from '../../../../protocol/api/control.ts';
import { Button } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { classes } from '../../components/class-names.ts';
import { CodeBlock } from '../../components/code-block.tsx';
import { Failed } from '../../components/failed.tsx';
import { Field, Select } from '../../components/field.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { api } from '../../data/client.ts';
import { queryKey, useMembers, useStatus } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { cameIn, countdown, inviteCommand, inviteLink, type OpenInvitation } from './invitation.ts';
import { OpenInvitations } from './open-invitations.tsx';
import { QrCode } from './qr-code.tsx';

const USUAL_SECONDS = '86400';

export function InviteCard(): ReactNode {
  const isMember = useStatus().data?.role === 'member';
  const { data: members } = useMembers();
  const [seconds, setSeconds] = useState(USUAL_SECONDS);
  const [invitation, setInvitation] = useState<OpenInvitation>();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const client = useQueryClient();
  const make = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    // Those who are members now: whoever comes in afterwards is new.
    const before = new Set(members?.members.map(({ node }) => node));
    try {
      const answer = await api.post<InvitationAnswer>('/api/v1/invitations', { ttl_seconds: Number(seconds) });
      setInvitation({ ...answer, before });
      await client.invalidateQueries({ queryKey: queryKey('invitations') });
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card title={text.access.invite}>
      {isMember ? (
        <div className="flex flex-col gap-2 text-sm">
          <p className="text-muted">{text.access.inviteOnlyAdmin}</p>
          <CodeBlock code="weft invite" prompt="$" />
        </div>
      ) : invitation === undefined ? (
        <div className="flex flex-col gap-3">
          <p className="max-w-prose text-muted text-sm">{text.access.inviteText}</p>
          <div className="flex flex-wrap items-end gap-2">
            <Field label={text.access.validFor} className="w-40">
              <Select
                value={seconds}
                onChange={setSeconds}
                options={Object.entries(text.access.validities).map(([value, label]) => ({ value, label }))}
              />
            </Field>
            <Button
              kind="primary"
              icon={<UserPlus />}
              busy={busy}
              disabled={members === undefined}
              onClick={() => void make()}
            >
              {text.access.makeInvitation}
            </Button>
          </div>
          {problem !== undefined && <Failed title={text.access.inviteFailed} error={problem} />}
        </div>
      ) : (
        <Open
          invitation={invitation}
          came={members === undefined ? [] : cameIn(invitation, members)}
          onClose={() => setInvitation(undefined)}
        />
      )}
      {!isMember && <OpenInvitations except={invitation?.id} />}
    </Card>
  );
}

interface OpenProps {
  readonly invitation: OpenInvitation;
  readonly came: ReturnType<typeof cameIn>;
  readonly onClose: () => void;
}

function Open({ invitation, came, onClose }: OpenProps): ReactNode {
  const leftMs = useLeft(invitation.expiresAtMs);
  const used = came.length > 0;
  const over = leftMs <= 0 && !used;
  const link = inviteLink(invitation);
  return (
    <div data-invitation={used ? 'used' : over ? 'expired' : 'open'} className="flex flex-col gap-4">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <p
          role="status"
          className={classes(
            'flex min-w-0 grow basis-64 items-center gap-2 text-sm [&_svg]:size-4 [&_svg]:shrink-0',
            used ? 'text-good' : over ? 'text-bad' : 'text-muted',
          )}
        >
          {used ? <Check aria-hidden /> : <Clock aria-hidden />}
          {used ? (
            <span className="text-ink">
              {came.map(({ node, name }) => (
                <span key={node} className="mr-1.5 font-medium">
                  <NodeName node={node} name={name} />
                </span>
              ))}
              {text.access.joinedText}
            </span>
          ) : over ? (
            <span>
              {text.access.expired}. {text.access.expiredText}
            </span>
          ) : (
            <span>{text.access.waitingForUse}</span>
          )}
        </p>
        <Button onClick={onClose}>{used || over ? text.access.another : text.access.closeInvitation}</Button>
      </div>
      {!used && !over && (
        <div className="grid gap-5 sm:grid-cols-[13.5rem_minmax(0,1fr)]">
          <div className="mx-auto w-full max-w-64">
            <QrCode value={link} label={text.access.qrLabel} />
            <p className="mt-2 text-center text-muted text-xs">{text.access.scanText}</p>
          </div>
          <div className="flex min-w-0 flex-col gap-4">
            <p className="text-sm">
              <span className="text-muted">{text.access.expiresIn}</span>{' '}
              {/* Read out once a second it would drown everything else. */}
              <span role="timer" aria-live="off" className="tabular font-semibold">
                {countdown(leftMs)}
              </span>
            </p>
            <Form
              label={text.access.command}
              code={inviteCommand(invitation)}
              prompt="$"
              copy={text.access.commandCopy}
            />
            <Form label={text.access.link} code={link} copy={text.access.linkCopy} />
            <Form label={text.access.ticket} code={invitation.ticket} copy={text.access.ticketCopy} />
          </div>
        </div>
      )}
    </div>
  );
}

const Form = ({
  label,
  code,
  copy,
  prompt,
}: {
  readonly label: string;
  readonly code: string;
  readonly copy: string;
  readonly prompt?: string;
}): ReactNode => (
  <div className="min-w-0">
    <h3 className="kicker mb-1">{label}</h3>
    <CodeBlock code={code} label={label} copyLabel={copy} {...(prompt === undefined ? {} : { prompt })} />
  </div>
);

/** Milliseconds that are left, anew each second while some are. */
function useLeft(untilMs: number): number {
  const [leftMs, setLeftMs] = useState(() => untilMs - Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      const left = untilMs - Date.now();
      setLeftMs(left);
      if (left <= 0) clearInterval(timer);
    }, 1_000);
    return () => clearInterval(timer);
  }, [untilMs]);
  return leftMs;
}
